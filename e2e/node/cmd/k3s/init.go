// PID 1 of the container.

package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// runAsInit is PID 1: it runs the same command once more as its child, passes signals on to it, reaps every orphan,
// and ends with the child's status. The child can then wait for its own processes without a reaper beside it.
func runAsInit() int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintf(os.Stderr, "k3s: %v\n", err)
		return 1
	}
	child, err := os.StartProcess(program, os.Args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		fmt.Fprintf(os.Stderr, "k3s: start the node: %v\n", err)
		return 1
	}
	for got := range signals {
		if got != syscall.SIGCHLD {
			// The child may be gone in this moment; its end is then the next signal.
			_ = child.Signal(got)
			continue
		}
		if status, ended := reap(child.Pid); ended {
			return status
		}
	}
	return 1
}

// reap collects all ended children and gives the status of the one that counts, as a shell would.
func reap(pid int) (status int, ended bool) {
	for {
		var got syscall.WaitStatus
		reaped, err := syscall.Wait4(-1, &got, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || reaped <= 0 {
			return status, ended
		}
		if reaped == pid {
			ended = true
			status = got.ExitStatus()
			if got.Signaled() {
				status = 128 + int(got.Signal())
			}
		}
	}
}
