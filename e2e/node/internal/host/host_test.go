package host

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOnlyReadOnlyKernelMountsAreMadeWritableWithTheirFlagsKept(t *testing.T) {
	got := ReadOnlyKernelMounts(`640 559 0:63 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
642 559 0:65 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
643 642 0:66 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
644 643 0:28 /docker/x /sys/fs/cgroup/cpu ro,nosuid,nodev,noexec,relatime master:9 - cgroup cgroup rw,cpu
645 640 0:63 /sys /proc/sys ro,relatime - proc proc rw
646 640 0:63 /sysrq-trigger /proc/sysrq-trigger ro,relatime - proc proc rw
647 642 0:70 / /sys/firmware ro,relatime - tmpfs tmpfs ro
`)
	all := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RELATIME)
	want := []Mount{{"/sys", all}, {"/sys/fs/cgroup/cpu", all}, {"/proc/sys", unix.MS_RELATIME}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v", got)
	}
}

func TestSharedCgroupNamespaceIsRefusedWithTheRemedy(t *testing.T) {
	for _, private := range []string{"0::/\n", "0::/k3s-node\n", "12:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n"} {
		if err := OwnCgroups(private); err != nil {
			t.Errorf("%q: %v", private, err)
		}
	}
	for _, shared := range []string{"0::/docker/abc\n", "4:cpu:/docker/abc\n0::/\n"} {
		if err := OwnCgroups(shared); err == nil || !strings.Contains(err.Error(), "--cgroupns=private") {
			t.Errorf("%q: got %v", shared, err)
		}
	}
}

func TestAKernelParameterIsRaisedAndNeverLowered(t *testing.T) {
	parameter := filepath.Join(t.TempDir(), "max_user_instances")
	for _, c := range []struct{ is, want string }{{"128\n", "8192"}, {"8192\n", "8192\n"}, {"65536\n", "65536\n"}} {
		if err := os.WriteFile(parameter, []byte(c.is), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := raise(parameter, inotifyInstances); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(parameter); err != nil || string(got) != c.want {
			t.Errorf("%q: got %q, %v", c.is, got, err)
		}
	}
}
