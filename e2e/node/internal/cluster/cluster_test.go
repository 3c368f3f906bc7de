package cluster

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func node(name, podCIDR string, addresses ...core.NodeAddress) *core.Node {
	return &core.Node{ObjectMeta: meta.ObjectMeta{Name: name}, Spec: core.NodeSpec{PodCIDR: podCIDR}, Status: core.NodeStatus{Addresses: addresses}}
}

func TestRoutesLeadToEveryOtherNodeThatIsFullyKnown(t *testing.T) {
	ip := func(address string) core.NodeAddress {
		return core.NodeAddress{Type: core.NodeInternalIP, Address: address}
	}
	host := core.NodeAddress{Type: core.NodeHostName, Address: "c"}
	got := DesiredRoutes([]*core.Node{
		node("self", "10.42.0.0/24", ip("172.17.0.2")),
		node("c", "10.42.2.0/24", host, ip("172.17.0.4")),
		node("b", "10.42.1.0/24", ip("172.17.0.3")),
		node("no-range", "", ip("172.17.0.5")),
		node("no-address", "10.42.3.0/24", host),
	}, "self")
	want := []Route{{"10.42.1.0/24", "172.17.0.3"}, {"10.42.2.0/24", "172.17.0.4"}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v", got)
	}
}

func TestWaitEndsWithSuccessOrWithWhatItWaitedForAndWhy(t *testing.T) {
	tries := 0
	err := Wait(context.Background(), "the door is open", time.Millisecond, time.Second, func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("closed")
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Fatalf("got %v after %d", err, tries)
	}
	err = Wait(context.Background(), "the door is open", time.Millisecond, 10*time.Millisecond, func(context.Context) error { return errors.New("closed") })
	if err == nil || !strings.Contains(err.Error(), "waited 10ms in vain until the door is open: closed") {
		t.Fatalf("got %v", err)
	}
}

func TestWaitGivesUpAtOnceOnAPermanentErrorAndOnTheEndOfTheNode(t *testing.T) {
	walled := errors.New("walled up")
	err := Wait(context.Background(), "the door is open", time.Hour, time.Hour, func(context.Context) error { return Permanent(walled) })
	if !errors.Is(err, walled) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("etcd ended")
	cancel(cause)
	if err := Wait(ctx, "the door is open", time.Hour, time.Hour, func(context.Context) error { return errors.New("closed") }); !errors.Is(err, cause) {
		t.Fatalf("got %v", err)
	}
}
