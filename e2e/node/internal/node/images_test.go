package node

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestImageArchivesAreSortedAndOtherFilesRefusedByName(t *testing.T) {
	dir := t.TempDir()
	touch := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"b.tgz", "a.tar", "c.tar.gz"} {
		touch(name)
	}
	got, err := imageArchives(dir)
	want := []string{filepath.Join(dir, "a.tar"), filepath.Join(dir, "b.tgz"), filepath.Join(dir, "c.tar.gz")}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, %v", got, err)
	}
	touch("d.zip")
	if _, err := imageArchives(dir); err == nil || !strings.Contains(err.Error(), "d.zip is no image archive") {
		t.Fatalf("got %v", err)
	}
}
