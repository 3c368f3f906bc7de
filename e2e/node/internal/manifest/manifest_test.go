package manifest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func kinds(t *testing.T, text string) []string {
	t.Helper()
	objects, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, object := range objects {
		names = append(names, object.GetKind()+"/"+object.GetName())
	}
	return names
}

func TestNamespacesAndDefinitionsComeFirstAndTheRestKeepsItsOrder(t *testing.T) {
	got := kinds(t, `
# a comment alone is no object
---
{apiVersion: v1, kind: Secret, metadata: {name: b}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: d}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: space}}
`)
	want := []string{"Namespace/space", "CustomResourceDefinition/d", "Secret/b", "ConfigMap/a"}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v", got)
	}
}

func TestListsAreTakenApartAndJSONIsRead(t *testing.T) {
	got := kinds(t, `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"space"}}]}`)
	if !reflect.DeepEqual(got, []string{"Namespace/space", "ConfigMap/a"}) {
		t.Fatalf("got %v", got)
	}
}

func TestBadManifestsAreRefusedWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"a: b: c": "document 1",
		"{apiVersion: v1, kind: Secret, metadata: {name: b}}\n---\n[": "document 2",
		"{apiVersion: v1, kind: Secret}":                              "metadata.name",
		"{kind: Secret, metadata: {name: x}}":                         "apiVersion",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func changed(t *testing.T, d *Directory) []string {
	t.Helper()
	paths, err := d.Changed()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

func TestFileIsHandedOutOnceItIsAtRestAndAgainOnlyAfterAChange(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, age time.Duration) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	d := NewDirectory(dir)
	write("b.yaml", "1", time.Hour)
	write("a.json", "1", time.Hour)
	write("readme.txt", "1", time.Hour)
	if got := changed(t, d); got != nil {
		t.Fatalf("handed out at first sight: %v", got)
	}
	if got := changed(t, d); !reflect.DeepEqual(got, []string{"a.json", "b.yaml"}) {
		t.Fatalf("got %v", got)
	}
	d.Done(filepath.Join(dir, "a.json"))
	if got := changed(t, d); !reflect.DeepEqual(got, []string{"b.yaml"}) {
		t.Fatalf("a failed file must come again and a done one not: %v", got)
	}
	d.Done(filepath.Join(dir, "b.yaml"))
	write("a.json", "2", time.Minute)
	if got := changed(t, d); got != nil {
		t.Fatalf("handed out while being written: %v", got)
	}
	if got := changed(t, d); !reflect.DeepEqual(got, []string{"a.json"}) {
		t.Fatalf("got %v", got)
	}
}

func TestMissingDirectoryHoldsNothing(t *testing.T) {
	d := NewDirectory(filepath.Join(t.TempDir(), "none"))
	if got := changed(t, d); got != nil {
		t.Fatalf("got %v", got)
	}
}
