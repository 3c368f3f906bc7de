package work

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	testingclient "k8s.io/client-go/testing"
)

const namespace = "here"

func configMap(name, version string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: version}}
}

func begin(t *testing.T) (*fake.Clientset, *Work) {
	t.Helper()
	return beginWith(t, configMap(Input, "7"), configMap(Output, "1"))
}

func beginWith(t *testing.T, objects ...runtime.Object) (*fake.Clientset, *Work) {
	t.Helper()
	client := fake.NewClientset(objects...)
	onlyWhatIsSelected(client)
	work, err := New(client, namespace, "peer-0")
	if err != nil {
		t.Fatal(err)
	}
	go work.Watch(t.Context())
	eventually(t, "the cache is synced", work.Synced)
	return client, work
}

// onlyWhatIsSelected makes the fake heed field selectors, as the API server does: else the work would watch its own output.
func onlyWhatIsSelected(client *fake.Clientset) {
	selected := func(selector fields.Selector, object runtime.Object) bool {
		found, ok := object.(*corev1.ConfigMap)
		return ok && selector.Matches(fields.Set{metav1.ObjectNameField: found.Name})
	}
	resource := corev1.SchemeGroupVersion.WithResource("configmaps")
	client.PrependReactor("list", "configmaps", func(action testingclient.Action) (bool, runtime.Object, error) {
		found, err := client.Tracker().List(resource, corev1.SchemeGroupVersion.WithKind("ConfigMap"), action.GetNamespace())
		if list, ok := found.(*corev1.ConfigMapList); ok {
			selector := action.(testingclient.ListAction).GetListRestrictions().Fields
			list.Items = slices.DeleteFunc(list.Items, func(item corev1.ConfigMap) bool { return !selected(selector, &item) })
		}
		return true, found, err
	})
	client.PrependWatchReactor("configmaps", func(action testingclient.Action) (bool, watch.Interface, error) {
		all, err := client.Tracker().Watch(resource, action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		selector := action.(testingclient.WatchAction).GetWatchRestrictions().Fields
		return true, watch.Filter(all, func(event watch.Event) (watch.Event, bool) {
			return event, selected(selector, event.Object)
		}), nil
	})
}

// lead leads until the test or the returned function ends it; the function waits for the end.
func lead(t *testing.T, work *Work) (stop func()) {
	t.Helper()
	stopping, done := make(chan struct{}), make(chan struct{})
	term, end := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		work.Lead(term, stopping)
	}()
	t.Cleanup(func() { end(); <-done })
	return func() {
		close(stopping)
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("not stopped within 10 s")
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func output(t *testing.T, client *fake.Clientset) map[string]string {
	t.Helper()
	found, err := client.CoreV1().ConfigMaps(namespace).Get(context.Background(), Output, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found.Data
}

func writes(client *fake.Clientset) int {
	count := 0
	for _, action := range client.Actions() {
		if action.GetVerb() == "patch" {
			count++
		}
	}
	return count
}

func TestANewLeaderWritesAtOnceWhatItHasSeen(t *testing.T) {
	client, work := begin(t)
	lead(t, work)
	eventually(t, "the first write", func() bool { return output(t, client)["writes"] == "1" })
	if got := output(t, client); got["leader"] != "peer-0" || got["seen"] != "7" {
		t.Errorf("got %v", got)
	}
	time.Sleep(100 * time.Millisecond)
	if count := writes(client); count != 1 {
		t.Errorf("%d writes while nothing changed", count)
	}
}

func TestANewLeaderWritesAlsoWhereThereIsNothingToSee(t *testing.T) {
	client, work := beginWith(t, configMap(Output, "1"))
	lead(t, work)
	eventually(t, "the first write", func() bool { return output(t, client)["writes"] == "1" })
	if got := output(t, client)["seen"]; got != "" {
		t.Errorf("got %q", got)
	}
}

func TestALeaderFollowsTheInput(t *testing.T) {
	client, work := begin(t)
	lead(t, work)
	eventually(t, "the first write", func() bool { return output(t, client)["seen"] == "7" })
	if _, err := client.CoreV1().ConfigMaps(namespace).Update(t.Context(), configMap(Input, "8"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is followed", func() bool { return output(t, client)["seen"] == "8" })
}

func TestOnlyTheInputIsAskedForSinceTheRoleAllowsNoMore(t *testing.T) {
	client, _ := begin(t)
	for _, action := range client.Actions() {
		var selector fields.Selector
		switch action := action.(type) {
		case testingclient.ListAction:
			selector = action.GetListRestrictions().Fields
		case testingclient.WatchAction:
			selector = action.GetWatchRestrictions().Fields
		}
		if selector == nil || selector.String() != "metadata.name="+Input {
			t.Errorf("%s with the field selector %v", action.GetVerb(), selector)
		}
	}
}

func TestAStandbyWatchesAndDoesNotWrite(t *testing.T) {
	client, work := begin(t)
	if _, err := client.CoreV1().ConfigMaps(namespace).Update(t.Context(), configMap(Input, "8"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is seen", func() bool { return work.seen() == "8" })
	if count := writes(client); count != 0 {
		t.Errorf("%d writes", count)
	}
}

func TestAListThatRepeatsWhatIsKnownIsNoChange(t *testing.T) {
	work, err := New(fake.NewClientset(), namespace, "peer-0")
	if err != nil {
		t.Fatal(err)
	}
	work.updated(configMap(Input, "7"), configMap(Input, "7"))
	if got := work.queue.Len(); got != 0 {
		t.Errorf("%d writes queued", got)
	}
	work.updated(configMap(Input, "7"), configMap(Input, "8"))
	if got := work.queue.Len(); got != 1 {
		t.Errorf("%d writes queued after a change", got)
	}
}

func TestAWriteThatFailsIsTriedAgain(t *testing.T) {
	client, work := begin(t)
	failures := 0
	client.PrependReactor("patch", "configmaps", func(testingclient.Action) (bool, runtime.Object, error) {
		failures++
		if failures <= 3 {
			return true, nil, errors.New("the server is on fire")
		}
		return false, nil, nil
	})
	lead(t, work)
	eventually(t, "a write after failures", func() bool { return output(t, client)["writes"] == "1" })
}

func TestNothingIsWrittenAfterAStop(t *testing.T) {
	client, work := begin(t)
	stop := lead(t, work)
	eventually(t, "the first write", func() bool { return output(t, client)["writes"] == "1" })
	stop()
	before := writes(client)
	if _, err := client.CoreV1().ConfigMaps(namespace).Update(t.Context(), configMap(Input, "8"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is seen", func() bool { return work.seen() == "8" })
	if after := writes(client); after != before {
		t.Errorf("%d writes after the stop", after-before)
	}
}

func TestAStopFinishesTheWriteInFlightAndBeginsNoOther(t *testing.T) {
	client, work := begin(t)
	begun, finish := make(chan struct{}, 10), make(chan struct{})
	client.PrependReactor("patch", "configmaps", func(testingclient.Action) (bool, runtime.Object, error) {
		begun <- struct{}{}
		<-finish
		return false, nil, nil
	})
	stop := lead(t, work)
	<-begun
	// One more is due when this one is done.
	work.updated(configMap(Input, "7"), configMap(Input, "8"))
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	select {
	case <-stopped:
		t.Error("stopped with a write in flight")
	case <-time.After(100 * time.Millisecond):
	}
	close(finish)
	<-stopped
	if got := output(t, client)["writes"]; got != "1" || len(begun) != 0 {
		t.Errorf("writes=%q, and %d more were begun", got, len(begun))
	}
}
