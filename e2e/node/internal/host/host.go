// The whole preparation in order, and the node's address, forwarding and iptables.

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
)

// Prepare does all of it. It can be repeated, as it is when the container is started again.
func Prepare(ctx context.Context) error {
	if _, err := os.Stat("/dev/kmsg"); err != nil {
		return fmt.Errorf("the kubelet reads the kernel log, and %w: start the container with --privileged or --device /dev/kmsg", err)
	}
	for _, step := range []func() error{openMounts, prepareCgroups, forward} {
		if err := step(); err != nil {
			return fmt.Errorf("prepare the container: %w", err)
		}
	}
	if err := raise("/proc/sys/fs/inotify/max_user_instances", inotifyInstances); err != nil {
		slog.Warn("few nodes fit on this machine: the limit on inotify instances cannot be raised", "err", err)
	}
	return chooseIPTables(ctx)
}

func forward() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }

// A node holds some 20 instances, all nodes of a machine share the limit of their user, and the kernel's own limit is 128.
const inotifyInstances = 8192

// raise writes the value where the kernel's parameter is lower. A machine that sets more keeps it.
func raise(parameter string, value int) error {
	text, err := os.ReadFile(parameter)
	if err != nil {
		return err
	}
	is, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%s: %w", parameter, err)
	}
	if is >= value {
		return nil
	}
	return os.WriteFile(parameter, []byte(strconv.Itoa(value)), 0)
}

// chooseIPTables links the iptables commands to the nft variant, or to the legacy one on a kernel that knows only it.
func chooseIPTables(ctx context.Context) error {
	var failures []error
	for _, variant := range []string{"xtables-nft-multi", "xtables-legacy-multi"} {
		if out, err := exec.CommandContext(ctx, variant, "iptables", "-w", "-t", "nat", "-S").CombinedOutput(); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w: %s", variant, err, out))
			continue
		}
		for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
			link := filepath.Join("/usr/sbin", name)
			if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err := os.Symlink(variant, link); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no iptables works with this kernel: %w", errors.Join(failures...))
}

// Masquerade lets pods reach addresses outside the cluster under the node's own address.
func Masquerade(ctx context.Context, podCIDR, clusterCIDR string) error {
	rule := []string{"POSTROUTING", "-s", podCIDR, "!", "-d", clusterCIDR, "-j", "MASQUERADE"}
	iptables := func(action string) *exec.Cmd {
		return exec.CommandContext(ctx, "iptables", append([]string{"-w", "-t", "nat", action}, rule...)...)
	}
	if iptables("-C").Run() == nil {
		return nil
	}
	if out, err := iptables("-A").CombinedOutput(); err != nil {
		return fmt.Errorf("masquerade pods: %w: %s", err, out)
	}
	return nil
}

// NodeIP gives the IPv4 address of the interface that holds the default route, or of the first one that has any.
func NodeIP() (string, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return "", fmt.Errorf("list routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst != nil && !route.Dst.IP.IsUnspecified() {
			continue
		}
		if device, err := net.InterfaceByIndex(route.LinkIndex); err == nil {
			if ip := firstIPv4(device.Addrs()); ip != "" {
				return ip, nil
			}
		}
	}
	if ip := firstIPv4(net.InterfaceAddrs()); ip != "" {
		return ip, nil
	}
	return "", errors.New("the container has no IPv4 address: connect it to a network")
}

func firstIPv4(addresses []net.Addr, err error) string {
	if err != nil {
		return ""
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	return ""
}
