// Package host makes the container a place where a node can run: kernel file systems writable, mounts shared with
// pods, a cgroup tree of its own, forwarding on, and an iptables that the kernel understands.
package host

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is a mount point and the flags that have to be kept when it is mounted anew.
type Mount struct {
	Point string
	Flags uintptr
}

// ReadOnlyKernelMounts picks from a /proc/self/mountinfo (proc_pid_mountinfo(5)) the mounts of /sys, of the cgroup
// hierarchies and of /proc/sys that an engine mounts read-only into a container that is not privileged.
func ReadOnlyKernelMounts(mountinfo string) []Mount {
	keep := map[string]uintptr{"nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "relatime": unix.MS_RELATIME}
	var found []Mount
	for _, line := range strings.Split(mountinfo, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			continue
		}
		point := fields[4]
		if point != "/sys" && !within(point, "/sys/fs/cgroup") && !within(point, "/proc/sys") {
			continue
		}
		mount, readOnly := Mount{Point: point}, false
		for _, option := range strings.Split(fields[5], ",") {
			mount.Flags |= keep[option]
			readOnly = readOnly || option == "ro"
		}
		if readOnly {
			found = append(found, mount)
		}
	}
	return found
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func openMounts() error {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, mount := range ReadOnlyKernelMounts(string(mountinfo)) {
		if err := unix.Mount("", mount.Point, "", unix.MS_REMOUNT|unix.MS_BIND|mount.Flags, ""); err != nil {
			return fmt.Errorf("make %s writable: %w (the container needs --privileged, or SYS_ADMIN and the security options that README.md lists)", mount.Point, err)
		}
	}
	// Pods' volumes are mounted by the kubelet and must be seen by containerd's children, and the other way round.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts with pods: %w", err)
	}
	return nil
}
