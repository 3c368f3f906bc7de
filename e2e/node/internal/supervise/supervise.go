// Package supervise runs the node's components as child processes, each with a log file of its own. The end of any
// component that was not asked for is an error of the node: half a node would only make tests fail later and stranger.
package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	tailLines = 20
	tailBytes = 16 << 10
)

// Group is the set of running components.
type Group struct {
	logDir string
	ended  chan error

	mu       sync.Mutex
	stopping bool
	running  map[string]*exec.Cmd
	gone     sync.WaitGroup
}

// NewGroup writes the components' logs to <logDir>/<name>.log.
func NewGroup(logDir string) *Group {
	return &Group{logDir: logDir, ended: make(chan error, 1), running: map[string]*exec.Cmd{}}
}

// Ended gives the first component that ended without being asked to, with the end of its log.
func (g *Group) Ended() <-chan error { return g.ended }

// Start runs program under name; name is unique in the group.
func (g *Group) Start(name, program string, args ...string) error {
	path := filepath.Join(g.logDir, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("log of %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	// A process group of its own: an interrupt typed at a terminal reaches the node alone, which then stops in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopping {
		return fmt.Errorf("start %s: the node is stopping", name)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	g.running[name] = cmd
	g.gone.Add(1)
	go g.wait(name, path, cmd)
	return nil
}

func (g *Group) wait(name, path string, cmd *exec.Cmd) {
	defer g.gone.Done()
	err := cmd.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.running, name)
	if g.stopping {
		return
	}
	how := cmd.ProcessState.String()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		how = err.Error()
	}
	select {
	case g.ended <- fmt.Errorf("%s ended unexpectedly: %s; the end of %s:\n%s", name, how, path, Tail(path)):
	default: // another one ended before; that is the cause worth reporting
	}
}

// Stop asks all components to end and kills those that are still there after grace.
func (g *Group) Stop(grace time.Duration) {
	g.signal(syscall.SIGTERM)
	all := make(chan struct{})
	go func() { g.gone.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(grace):
		g.signal(syscall.SIGKILL)
		<-all
	}
}

func (g *Group) signal(signal os.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopping = true
	for _, cmd := range g.running {
		// A process that is gone already is what is wanted.
		_ = cmd.Process.Signal(signal)
	}
}

// Tail gives the last lines of the file at path, or why they can't be read.
func Tail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		if _, err := file.Seek(-tailBytes, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}
