package settings

import (
	"strings"
	"testing"
	"time"
)

func read(changed map[string]string) (Settings, error) {
	env := map[string]string{"POD_NAME": "peer-0", "POD_NAMESPACE": "here"}
	for name, value := range changed {
		env[name] = value
	}
	return Read(func(name string) (string, bool) {
		value, found := env[name]
		return value, found
	})
}

func TestDefaultsAreTheOnesThatMostOperatorsUse(t *testing.T) {
	got, err := read(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{
		PodName: "peer-0", PodNamespace: "here", LeaseName: "client-go-peer",
		LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
		Identity: Pod,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEverySettingIsReadFromItsVariable(t *testing.T) {
	got, err := read(map[string]string{
		"LEASE_NAME": "other", "LEASE_DURATION_SECONDS": "30", "LEASE_RENEW_DEADLINE_SECONDS": "20",
		"LEASE_RETRY_PERIOD_SECONDS": "5", "LEASE_IDENTITY": "process",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{
		PodName: "peer-0", PodNamespace: "here", LeaseName: "other",
		LeaseDuration: 30 * time.Second, RenewDeadline: 20 * time.Second, RetryPeriod: 5 * time.Second,
		Identity: Process,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestABadValueIsNamedWithItsRule(t *testing.T) {
	for _, test := range []struct {
		name, value, rule string
	}{
		{"POD_NAME", "", "must be set"},
		{"POD_NAMESPACE", "", "must be set"},
		{"LEASE_DURATION_SECONDS", "soon", "whole number of seconds above 0"},
		{"LEASE_RETRY_PERIOD_SECONDS", "0", "whole number of seconds above 0"},
		{"LEASE_RETRY_PERIOD_SECONDS", "-2", "whole number of seconds above 0"},
		{"LEASE_DURATION_SECONDS", "3000000000", "whole number of seconds above 0"},
		{"LEASE_DURATION_SECONDS", "10", "more than LEASE_RENEW_DEADLINE_SECONDS=10"},
		{"LEASE_RENEW_DEADLINE_SECONDS", "2", "more than 1.2 times LEASE_RETRY_PERIOD_SECONDS=2"},
		{"LEASE_IDENTITY", "node", "must be pod or process"},
	} {
		_, err := read(map[string]string{test.name: test.value})
		if err == nil {
			t.Errorf("%s=%s: accepted", test.name, test.value)
			continue
		}
		for _, want := range []string{test.name, test.value, test.rule} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s=%s: %q does not contain %q", test.name, test.value, err, want)
			}
		}
	}
}
