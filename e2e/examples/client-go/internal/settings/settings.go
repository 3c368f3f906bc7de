// Package settings reads the environment, by the same names as the operator that this program is compared with.
package settings

import (
	"fmt"
	"strconv"
	"time"

	"k8s.io/client-go/tools/leaderelection"
)

// Settings are checked; a bad value never gets past Read.
type Settings struct {
	PodName       string
	PodNamespace  string
	LeaseName     string
	LeaseDuration time.Duration
	RenewDeadline time.Duration
	RetryPeriod   time.Duration
	Identity      Identity
}

// Identity is what a replica writes into the Lease as its holder.
type Identity string

const (
	// Pod is the name of the pod: a restarted container finds its own Lease and carries on as if nothing had happened.
	Pod Identity = "pod"
	// Process adds a random part for each process, as controller-runtime and kube-controller-manager do: a restarted
	// container is a stranger to its own Lease and waits until it has expired.
	Process Identity = "process"
)

// Read reads the settings with lookup, such as os.LookupEnv. An error names the variable, its value and the rule.
func Read(lookup func(string) (string, bool)) (Settings, error) {
	read := reader{lookup: lookup}
	s := Settings{
		PodName:       read.text("POD_NAME", ""),
		PodNamespace:  read.text("POD_NAMESPACE", ""),
		LeaseName:     read.text("LEASE_NAME", "client-go-peer"),
		LeaseDuration: read.seconds("LEASE_DURATION_SECONDS", 15),
		RenewDeadline: read.seconds("LEASE_RENEW_DEADLINE_SECONDS", 10),
		RetryPeriod:   read.seconds("LEASE_RETRY_PERIOD_SECONDS", 2),
		Identity:      Identity(read.text("LEASE_IDENTITY", string(Pod))),
	}
	if read.err != nil {
		return Settings{}, read.err
	}
	return s, s.check()
}

// check applies the rules of client-go, in the words of the variables.
func (s Settings) check() error {
	jittered := time.Duration(leaderelection.JitterFactor * float64(s.RetryPeriod))
	switch {
	case s.LeaseDuration <= s.RenewDeadline:
		return fmt.Errorf("LEASE_DURATION_SECONDS=%.0f: must be more than LEASE_RENEW_DEADLINE_SECONDS=%.0f",
			s.LeaseDuration.Seconds(), s.RenewDeadline.Seconds())
	case s.RenewDeadline <= jittered:
		return fmt.Errorf("LEASE_RENEW_DEADLINE_SECONDS=%.0f: must be more than %.1f times LEASE_RETRY_PERIOD_SECONDS=%.0f",
			s.RenewDeadline.Seconds(), leaderelection.JitterFactor, s.RetryPeriod.Seconds())
	case s.Identity != Pod && s.Identity != Process:
		return fmt.Errorf("LEASE_IDENTITY=%s: must be %s or %s", s.Identity, Pod, Process)
	}
	return nil
}

// reader keeps the first error, so that the fields can be read one after the other.
type reader struct {
	lookup func(string) (string, bool)
	err    error
}

// text gives the variable's value, or fallback where it is not set. Without a fallback it has to be set.
func (r *reader) text(name, fallback string) string {
	if value, _ := r.lookup(name); value != "" {
		return value
	}
	if fallback == "" {
		r.fail(fmt.Errorf("%s must be set", name))
	}
	return fallback
}

func (r *reader) seconds(name string, fallback int) time.Duration {
	text := r.text(name, strconv.Itoa(fallback))
	// The Lease holds the duration in 32 bits.
	seconds, err := strconv.ParseInt(text, 10, 32)
	if err != nil || seconds < 1 {
		r.fail(fmt.Errorf("%s=%s: must be a whole number of seconds above 0", name, text))
	}
	return time.Duration(seconds) * time.Second
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
