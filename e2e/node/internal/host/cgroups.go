// The container's cgroups: a namespace of its own, and on cgroup v2 a root that is free for pods.

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const cgroupRoot = "/sys/fs/cgroup"

// OwnCgroups checks a /proc/self/cgroup (cgroups(7)): a process at the root of every hierarchy has a cgroup namespace
// of its own. Without one, two nodes would share /kubepods and clean up each other's pods.
func OwnCgroups(cgroup string) error {
	for _, line := range strings.Split(strings.TrimSpace(cgroup), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) == 3 && parts[2] != "/" && parts[2] != "/"+initCgroup {
			return fmt.Errorf("this container shares the machine's cgroup namespace (it is in %s): start it with --cgroupns=private", parts[2])
		}
	}
	return nil
}

// initCgroup holds the node's own processes on cgroup v2.
const initCgroup = "k3s-node"

// prepareCgroups empties the root of a cgroup v2 tree and hands its controllers down: a cgroup can't hold processes
// and give controllers to children at once (cgroup-v2.rst, "No Internal Process Constraint"). The engine puts later
// `exec`s beside PID 1, so they don't come back. cgroup v1 needs nothing.
func prepareCgroups() error {
	cgroup, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	if err := OwnCgroups(string(cgroup)); err != nil {
		return err
	}
	controllers, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	leaf := filepath.Join(cgroupRoot, initCgroup)
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return err
	}
	processes, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, pid := range strings.Fields(string(processes)) {
		// A process may have ended since the list was read; one that stays shows below as a busy root.
		_ = os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(pid), 0)
	}
	enable := "+" + strings.Join(strings.Fields(string(controllers)), " +")
	if err := os.WriteFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"), []byte(enable), 0); err != nil {
		return fmt.Errorf("hand the cgroup controllers %s down to pods: %w", strings.TrimSpace(string(controllers)), err)
	}
	return nil
}
