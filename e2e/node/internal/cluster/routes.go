// Routes to the pods of the other nodes, kept in line with the Node objects.

package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sort"

	"github.com/vishvananda/netlink"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"
)

// Route leads to the pods of another node.
type Route struct{ PodCIDR, Gateway string }

// DesiredRoutes gives one route for each node but self that has told its pod range and its address.
func DesiredRoutes(nodes []*core.Node, self string) []Route {
	var routes []Route
	for _, node := range nodes {
		if node.Name == self || node.Spec.PodCIDR == "" {
			continue
		}
		for _, address := range node.Status.Addresses {
			if address.Type == core.NodeInternalIP {
				routes = append(routes, Route{PodCIDR: node.Spec.PodCIDR, Gateway: address.Address})
				break
			}
		}
	}
	sort.Slice(routes, func(i, j int) bool { return routes[i].PodCIDR < routes[j].PodCIDR })
	return routes
}

// KeepRoutes follows the Nodes and keeps a route to each of the others until ctx ends.
func (c *Client) KeepRoutes(ctx context.Context, self string) {
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	store, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(c.core.RESTClient(), "nodes", "", fields.Everything()),
		ObjectType:    &core.Node{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { poke() },
			UpdateFunc: func(any, any) { poke() },
			DeleteFunc: func(any) { poke() },
		},
	})
	go informer.RunWithContext(ctx)
	set := map[string]string{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		var nodes []*core.Node
		for _, object := range store.List() {
			nodes = append(nodes, object.(*core.Node))
		}
		update(set, DesiredRoutes(nodes, self))
	}
}

// update brings the routes that were set before in line with the desired ones. A failure is logged and tried again
// with the next change of any Node, which comes at least every five minutes with the kubelets' status reports.
func update(set map[string]string, desired []Route) {
	wanted := map[string]string{}
	for _, route := range desired {
		wanted[route.PodCIDR] = route.Gateway
		if set[route.PodCIDR] == route.Gateway {
			continue
		}
		entry, err := parse(route)
		if err == nil {
			err = netlink.RouteReplace(entry)
		}
		if err != nil {
			slog.Error("cannot set a route", "to", route.PodCIDR, "via", route.Gateway, "err", err)
			continue
		}
		set[route.PodCIDR] = route.Gateway
		slog.Info("route set", "to", route.PodCIDR, "via", route.Gateway)
	}
	for podCIDR, gateway := range set {
		if _, still := wanted[podCIDR]; still {
			continue
		}
		entry, err := parse(Route{PodCIDR: podCIDR, Gateway: gateway})
		if err == nil {
			err = netlink.RouteDel(entry)
		}
		if err != nil {
			slog.Error("cannot remove a route", "to", podCIDR, "via", gateway, "err", err)
		}
		delete(set, podCIDR)
	}
}

func parse(route Route) (*netlink.Route, error) {
	_, destination, err := net.ParseCIDR(route.PodCIDR)
	if err != nil {
		return nil, err
	}
	gateway := net.ParseIP(route.Gateway)
	if gateway == nil {
		return nil, fmt.Errorf("address %q is no IP address", route.Gateway)
	}
	return &netlink.Route{Dst: destination, Gw: gateway}, nil
}
