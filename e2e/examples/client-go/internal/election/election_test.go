package election

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	testingclient "k8s.io/client-go/testing"

	"github.com/finos/5spot-rs/e2e/examples/client-go/internal/settings"
)

var fast = settings.Settings{
	PodName: "peer-0", PodNamespace: "here", LeaseName: "peer", Identity: settings.Pod,
	LeaseDuration: 2 * time.Second, RenewDeadline: 500 * time.Millisecond, RetryPeriod: 50 * time.Millisecond,
}

func holder(t *testing.T, client *fake.Clientset) string {
	t.Helper()
	lease, err := client.CoordinationV1().Leases("here").Get(context.Background(), "peer", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// run contends in the background; the channel gets what Run gives.
func run(
	t *testing.T, client *fake.Clientset, s settings.Settings, lead func(context.Context, <-chan struct{}),
) (stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	election, err := New(client.CoordinationV1(), s, lead)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	result := make(chan error, 1)
	go func() { result <- election.Run(ctx) }()
	return cancel, result
}

func next[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(10 * time.Second):
		t.Fatalf("not within 10 s: %s", what)
		panic("unreachable")
	}
}

func TestTheLeaseIsReleasedAfterTheWorkIsOverAndNotBefore(t *testing.T) {
	client := fake.NewClientset()
	asked, finish := make(chan struct{}), make(chan struct{})
	led := make(chan struct{})
	stop, ended := run(t, client, fast, func(_ context.Context, stop <-chan struct{}) {
		close(led)
		<-stop
		close(asked)
		<-finish
	})
	next(t, "it leads", led)
	stop()
	next(t, "the work is asked to stop", asked)
	time.Sleep(3 * fast.RetryPeriod)
	if got := holder(t, client); got != "peer-0" {
		t.Errorf("holder %q while the work goes on", got)
	}
	close(finish)
	if err := next(t, "the end", ended); err != nil {
		t.Error(err)
	}
	if got := holder(t, client); got != "" {
		t.Errorf("not released: holder %q", got)
	}
}

func TestALeaderThatCannotRenewEndsItsWorkAndSaysThatItLost(t *testing.T) {
	client := fake.NewClientset()
	var refuse atomic.Bool
	client.PrependReactor("*", "leases", func(testingclient.Action) (bool, runtime.Object, error) {
		if refuse.Load() {
			return true, nil, apierrors.NewInternalError(errors.New("no quorum"))
		}
		return false, nil, nil
	})
	led, over := make(chan struct{}), make(chan struct{})
	_, ended := run(t, client, fast, func(term context.Context, _ <-chan struct{}) {
		close(led)
		<-term.Done()
		close(over)
	})
	next(t, "it leads", led)
	refuse.Store(true)
	next(t, "the work ends", over)
	if err := next(t, "the end", ended); !errors.Is(err, ErrLost) {
		t.Errorf("got %v", err)
	}
}

func TestAStandbyDoesNotWorkAndStopsWithoutTouchingTheLease(t *testing.T) {
	other, seconds := "peer-1", int32(60)
	now := metav1.NowMicro()
	client := fake.NewClientset(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: "peer"},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &other, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now,
		},
	})
	stop, ended := run(t, client, fast, func(context.Context, <-chan struct{}) { t.Error("it worked") })
	time.Sleep(5 * fast.RetryPeriod)
	stop()
	if err := next(t, "the end", ended); err != nil {
		t.Error(err)
	}
	if got := holder(t, client); got != other {
		t.Errorf("holder %q", got)
	}
}

func TestTheIdentityIsThePodOrAProcessOfIt(t *testing.T) {
	if got := identity(fast); got != "peer-0" {
		t.Errorf("got %q", got)
	}
	process := fast
	process.Identity = settings.Process
	one, other := identity(process), identity(process)
	if !strings.HasPrefix(one, "peer-0_") || one == other {
		t.Errorf("got %q and %q", one, other)
	}
}
