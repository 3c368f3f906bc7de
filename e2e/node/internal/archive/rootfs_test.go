package archive

import (
	"archive/tar"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestUnusedPathsAreRecognisedAndOthersKept(t *testing.T) {
	for name, want := range map[string]bool{
		"./usr/share/doc/runc/copyright": true, "./usr/lib/x86_64-linux-gnu/gconv/BIG5.so": true, "./etc/resolv.conf": true,
		"./usr/lib/cni/dhcp": true, "./etc/apt/sources.list": true, "./var/run/": true,
		"./usr/share/doc/": false, "./usr/lib/cni/ptp": false, "./usr/lib/x86_64-linux-gnu/libc.so.6": false, "./var/lib/": false, "./": false,
		"./usr/bin/containerd-shim-runc-v2": false, "./etc/iproute2/rt_tables": false,
	} {
		if got := Unused(name); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestRootFileSystemIsTheSameWheneverItWasMade(t *testing.T) {
	make := func(at time.Time) (string, map[string]bool, []byte) {
		dir := t.TempDir()
		source, target := filepath.Join(dir, "in.tar"), filepath.Join(dir, "out.tar")
		file, err := os.Create(source)
		if err != nil {
			t.Fatal(err)
		}
		writer := tar.NewWriter(file)
		for _, header := range []*tar.Header{
			{Name: "./usr/bin/", Typeflag: tar.TypeDir, Mode: 0o755},
			{Name: "./usr/bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: 2},
			{Name: "./usr/bin/mount", Typeflag: tar.TypeReg, Mode: 0o4755, Size: 2},
			{Name: "./etc/hostname", Typeflag: tar.TypeReg, Mode: 0o644, Size: 2},
		} {
			header.ModTime = at
			if err := writer.WriteHeader(header); err != nil {
				t.Fatal(err)
			}
			if header.Size > 0 {
				if _, err := writer.Write([]byte("ab")); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		programs, busybox, err := RootFS(source, target)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(target)
		if err != nil {
			t.Fatal(err)
		}
		return string(text), programs, busybox
	}
	first, programs, busybox := make(time.Now())
	second, _, _ := make(time.Now().Add(time.Hour))
	if first != second {
		t.Error("differs")
	}
	if !reflect.DeepEqual(programs, map[string]bool{"busybox": true, "mount": true}) || string(busybox) != "ab" {
		t.Errorf("got %v, %q", programs, busybox)
	}
}

func TestAppletsNeverReplaceARealProgram(t *testing.T) {
	got := Applets("busybox\nmount\nsh\n", map[string]bool{"mount": true})
	if !reflect.DeepEqual(got, []File{{Path: "usr/bin/sh", Link: "busybox"}}) {
		t.Fatalf("got %v", got)
	}
}
