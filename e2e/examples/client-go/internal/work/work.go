// Package work is what the leader does: it writes down, in one ConfigMap, which version of another it has seen.
//
// The first write of a term is made at once and every further one when the watched ConfigMap changes, so that an observer
// can tell when a new leader began to work, and make it work.
package work

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	// Input is the ConfigMap that is watched.
	Input = "client-go-peer-input"
	// Output is the ConfigMap that is written.
	Output = "client-go-peer-output"

	// patchLimit bounds one write, and with it how long a stop waits for the one in flight.
	patchLimit = 5 * time.Second
	// The backoff of a write that failed: well below a second, since a takeover is measured by the first that succeeds.
	firstRetry, lastRetry = 50 * time.Millisecond, time.Second
)

// Work is what one replica would do, and does while it leads.
type Work struct {
	client    kubernetes.Interface
	namespace string
	pod       string
	input     cache.SharedIndexInformer
	synced    cache.InformerSynced
	queue     workqueue.TypedRateLimitingInterface[string]
	// writes counts those of this process.
	writes int
}

// New prepares the work of the replica pod.
func New(client kubernetes.Interface, namespace, pod string) (*Work, error) {
	// By name, since that is all that the Role allows.
	byName := func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, Input).String()
	}
	w := &Work{
		client:    client,
		namespace: namespace,
		pod:       pod,
		input:     informers.NewFilteredConfigMapInformer(client, namespace, 0, cache.Indexers{}, byName),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry)),
	}
	// A standby's queue holds one entry, however often the input changes.
	registration, err := w.input.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.queue.Add(Output) },
		UpdateFunc: w.updated,
	})
	if err != nil {
		return nil, fmt.Errorf("failed to watch ConfigMap %s: %w", Input, err)
	}
	w.synced = registration.HasSynced
	return w, nil
}

// Watch keeps the cache until ctx ends, also on a standby.
func (w *Work) Watch(ctx context.Context) { w.input.RunWithContext(ctx) }

// Synced says whether the cache has been filled.
func (w *Work) Synced() bool { return w.synced() }

// Lead works until term ends or stop is closed. The two differ in what becomes of a write in flight: with the end of the
// term it is dropped, since there may be another leader by now; on stop it is finished, since this is still the leader.
func (w *Work) Lead(term context.Context, stop <-chan struct{}) {
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-term.Done():
		case <-stop:
		case <-over:
		}
		w.queue.ShutDown()
	}()
	w.queue.Add(Output)
	for {
		key, ended := w.queue.Get()
		// A queue that was shut down still hands out what is in it.
		if ended || w.queue.ShuttingDown() || term.Err() != nil {
			return
		}
		if err := w.write(term); err != nil {
			slog.Error("failed to write", "configMap", Output, "error", err)
			w.queue.AddRateLimited(key)
		} else {
			w.queue.Forget(key)
		}
		w.queue.Done(key)
	}
}

// write merges the state into the output. It is not read before: nothing of what is there matters.
func (w *Work) write(term context.Context) error {
	patch, err := json.Marshal(map[string]any{"data": map[string]string{
		"leader": w.pod,
		"writes": strconv.Itoa(w.writes + 1),
		"seen":   w.seen(),
	}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(term, patchLimit)
	defer cancel()
	_, err = w.client.CoreV1().ConfigMaps(w.namespace).Patch(
		ctx, Output, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "client-go-peer"})
	if err == nil {
		w.writes++
	}
	return err
}

// updated queues a write, unless a new list only repeated what was known.
func (w *Work) updated(before, after any) {
	old, isConfigMap := before.(*corev1.ConfigMap)
	if input, ok := after.(*corev1.ConfigMap); ok && isConfigMap && input.ResourceVersion == old.ResourceVersion {
		return
	}
	w.queue.Add(Output)
}

// seen is the version of the input in the cache; empty when there is none.
func (w *Work) seen() string {
	object, found, err := w.input.GetStore().GetByKey(w.namespace + "/" + Input)
	if input, ok := object.(*corev1.ConfigMap); ok && found && err == nil {
		return input.ResourceVersion
	}
	return ""
}
