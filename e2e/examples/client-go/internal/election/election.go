// Package election runs client-go's elector the way most operators do: one term for each process, the Lease released on
// SIGTERM, and a process that lost its term ends.
package election

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/finos/5spot-rs/e2e/examples/client-go/internal/settings"
)

// watchDogTolerance is how long after its Lease expired a leader that is stuck counts as alive; as in Kubernetes' own
// components.
const watchDogTolerance = 20 * time.Second

// ErrLost says that the term ended without being asked to.
var ErrLost = errors.New("the term was lost")

// Election is one replica's part in it.
type Election struct {
	elector  *leaderelection.LeaderElector
	watchDog *leaderelection.HealthzAdaptor
	lead     func(term context.Context, stop <-chan struct{})
	stopping chan struct{}
	// working is held while this replica works, and for good once it is stopped.
	working sync.Mutex
}

// New prepares an election in which this replica, as leader, calls lead once. It has to return soon after its context
// ends, or, with what it was doing finished, after its channel is closed.
func New(
	leases coordination.LeasesGetter, s settings.Settings, lead func(term context.Context, stop <-chan struct{}),
) (*Election, error) {
	e := &Election{
		watchDog: leaderelection.NewLeaderHealthzAdaptor(watchDogTolerance),
		lead:     lead,
		stopping: make(chan struct{}),
	}
	me := identity(s)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: s.LeaseName,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: s.PodNamespace, Name: s.LeaseName},
			Client:     leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: me},
		},
		LeaseDuration:   s.LeaseDuration,
		RenewDeadline:   s.RenewDeadline,
		RetryPeriod:     s.RetryPeriod,
		ReleaseOnCancel: true,
		WatchDog:        e.watchDog,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: e.work,
			// Also called where this replica never led.
			OnStoppedLeading: func() { slog.Info("out of the election", "identity", me) },
			OnNewLeader:      func(leader string) { slog.Info("leader", "identity", leader, "me", leader == me) },
		},
	})
	if err != nil {
		return nil, fmt.Errorf("failed to prepare the election: %w", err)
	}
	e.elector = elector
	e.watchDog.SetLeaderElection(elector)
	return e, nil
}

// WatchDog fails when a leader does not renew and does not give up either.
func (e *Election) WatchDog() *leaderelection.HealthzAdaptor { return e.watchDog }

// Run contends and leads until ctx ends; then it lets the work finish, and only then releases the Lease. It gives
// ErrLost when the term ended before.
func (e *Election) Run(ctx context.Context) error {
	contending, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	stopped := context.AfterFunc(ctx, func() {
		close(e.stopping)
		// Comes back when the work is over, and keeps any from beginning.
		e.working.Lock()
		end()
	})
	e.elector.Run(contending)
	if stopped() {
		return ErrLost
	}
	return nil
}

func (e *Election) work(term context.Context) {
	e.working.Lock()
	defer e.working.Unlock()
	e.lead(term, e.stopping)
}

func identity(s settings.Settings) string {
	if s.Identity == settings.Process {
		return s.PodName + "_" + string(uuid.NewUUID())
	}
	return s.PodName
}
