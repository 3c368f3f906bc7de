// Server-side apply of objects of any kind.

package cluster

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// establishing is how long a kind may be unknown after its definition was applied in the same breath.
const establishing = 5 * time.Second

// Apply puts the objects into the cluster, in their order, by server-side apply.
func (c *Client) Apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if err := c.applyOne(ctx, object); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

func (c *Client) applyOne(ctx context.Context, object *unstructured.Unstructured) error {
	mapping, err := c.mapping(ctx, object)
	if err != nil {
		return err
	}
	var target dynamic.ResourceInterface = c.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		namespace := object.GetNamespace()
		if namespace == "" {
			namespace = v1.NamespaceDefault
		}
		target = c.dynamic.Resource(mapping.Resource).Namespace(namespace)
	}
	_, err = target.Apply(ctx, object.GetName(), object, v1.ApplyOptions{FieldManager: "k3s-node", Force: true})
	return err
}

func (c *Client) mapping(ctx context.Context, object *unstructured.Unstructured) (*meta.RESTMapping, error) {
	kind := object.GroupVersionKind()
	deadline := time.Now().Add(establishing)
	for {
		mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err == nil || !meta.IsNoMatchError(err) || time.Now().After(deadline) {
			return mapping, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
			c.mapper.Reset()
		}
	}
}
