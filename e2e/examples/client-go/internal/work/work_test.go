package work

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	testingclient "k8s.io/client-go/testing"
)

const namespace = "here"

func configMap(name, version string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: version}}
}

func begin(t *testing.T) (*fake.Clientset, *Work) {
	t.Helper()
	client := fake.NewClientset(configMap(Input, "7"), configMap(Output, "1"))
	work, err := New(client, namespace, "peer-0")
	if err != nil {
		t.Fatal(err)
	}
	go work.Watch(t.Context())
	eventually(t, "the cache is synced", work.Synced)
	return client, work
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
	return func() { close(stopping); <-done }
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

func TestAStopWaitsForTheWriteInFlight(t *testing.T) {
	client, work := begin(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	client.PrependReactor("patch", "configmaps", func(testingclient.Action) (bool, runtime.Object, error) {
		close(begun)
		<-finish
		return false, nil, nil
	})
	stop := lead(t, work)
	<-begun
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	select {
	case <-stopped:
		t.Error("stopped with a write in flight")
	case <-time.After(100 * time.Millisecond):
	}
	close(finish)
	<-stopped
	if got := output(t, client)["writes"]; got != "1" {
		t.Errorf("the write in flight was lost: writes=%q", got)
	}
}
