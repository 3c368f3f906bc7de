package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	olm = "example.com/olm@sha256:01"
	opm = "example.com/opm@sha256:02"
)

func folder(t *testing.T) string {
	t.Helper()
	const olm = "github.com/operator-framework/operator-lifecycle-manager"
	if out, err := exec.Command("go", "mod", "download", olm).CombinedOutput(); err != nil {
		t.Fatalf("go mod download: %v: %s", err, out)
	}
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", olm).Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(module)), "deploy", "chart")
}

func rendered(t *testing.T, arguments ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(append([]string{"-chart", folder(t)}, arguments...), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestNothingIsPulled(t *testing.T) {
	text := rendered(t, "-olm", olm, "-opm", opm)
	for _, pulled := range []string{"quay.io", "imagePullPolicy: Always", "kind: CatalogSource", "packageserver.clusterserviceversion"} {
		if strings.Contains(text, pulled) {
			t.Errorf("%q in\n%s", pulled, text)
		}
	}
	for _, needed := range []string{"name: olm-operator", "name: catalog-operator", "image: " + olm, "--opmImage=" + opm, "--util-image"} {
		if !strings.Contains(text, needed) {
			t.Errorf("no %q in\n%s", needed, text)
		}
	}
	if strings.Contains(text, "kind: ClusterServiceVersion") {
		t.Error("the package server is there")
	}
}

func TestDefinitionsComeAlone(t *testing.T) {
	text := rendered(t, "-definitions")
	if count := strings.Count(text, "kind: CustomResourceDefinition\n"); count < 8 {
		t.Errorf("%d definitions", count)
	}
	if strings.Contains(text, "kind: Deployment\n") {
		t.Error("a Deployment among them")
	}
}

func TestABadRequestIsRefusedByName(t *testing.T) {
	for _, test := range []struct {
		arguments []string
		named     string
	}{
		{nil, "-chart"},
		{[]string{"-chart", "x", "-olm", "example.com/olm:latest", "-opm", opm}, "-olm=example.com/olm:latest"},
		{[]string{"-chart", "x", "-olm", olm}, "-opm="},
		{[]string{"-chart", "nowhere", "-olm", olm, "-opm", opm}, "nowhere"},
	} {
		err := run(test.arguments, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), test.named) {
			t.Errorf("%v: %v", test.arguments, err)
		}
	}
}
