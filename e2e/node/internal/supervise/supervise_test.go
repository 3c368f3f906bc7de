package supervise

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func next(t *testing.T, g *Group) string {
	t.Helper()
	select {
	case err := <-g.Ended():
		return err.Error()
	case <-time.After(10 * time.Second):
		t.Fatal("nothing reported")
		return ""
	}
}

func TestUnexpectedEndIsReportedWithNameStatusAndLog(t *testing.T) {
	g := NewGroup(t.TempDir())
	if err := g.Start("etcd", "/bin/sh", "-c", "echo first; echo cannot bind >&2; exit 3"); err != nil {
		t.Fatal(err)
	}
	got := next(t, g)
	for _, want := range []string{"etcd ended unexpectedly", "exit status 3", "etcd.log", "first\ncannot bind"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not contain %q", got, want)
		}
	}
}

func TestEndWithStatusZeroAndDeathBySignalAreUnexpectedToo(t *testing.T) {
	for script, want := range map[string]string{"exit 0": "exit status 0", "kill -9 $$": "signal: killed"} {
		g := NewGroup(t.TempDir())
		if err := g.Start("x", "/bin/sh", "-c", script); err != nil {
			t.Fatal(err)
		}
		if got := next(t, g); !strings.Contains(got, want) {
			t.Errorf("%s: got %q", script, got)
		}
	}
}

func TestStopEndsAllAndReportsNone(t *testing.T) {
	g := NewGroup(t.TempDir())
	for name, script := range map[string]string{"polite": "exec sleep 60", "stubborn": "trap '' TERM; while :; do sleep 0.05; done"} {
		if err := g.Start(name, "/bin/sh", "-c", script); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond) // the trap has to be set
	begin := time.Now()
	g.Stop(300 * time.Millisecond)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	select {
	case err := <-g.Ended():
		t.Errorf("reported %v", err)
	default:
	}
	if err := g.Start("late", "/bin/true"); err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("start after stop: %v", err)
	}
}

func TestMissingProgramIsAnError(t *testing.T) {
	if err := NewGroup(t.TempDir()).Start("x", "/nonexistent"); err == nil || !strings.Contains(err.Error(), "start x") {
		t.Fatalf("got %v", err)
	}
}

func TestTailIsTheLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(strings.Repeat("old line\n", 5000)+strings.Repeat("new line\n", tailLines)), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Tail(path); got != strings.TrimRight(strings.Repeat("new line\n", tailLines), "\n") {
		t.Fatalf("got %q", got)
	}
}
