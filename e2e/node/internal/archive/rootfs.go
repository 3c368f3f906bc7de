// The root file system's layer: what Debian packages bring, without what a node never uses.

package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"
)

// unused are the paths of a root file system made from Debian packages that no node needs: documents, the traces of
// the machine that it was made on, and some large programs.
var unused = []string{
	"usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/lintian/*", "usr/share/bash-completion/*",
	"usr/lib/systemd/*", "usr/lib/*/gconv/*", "etc/apt/*", "etc/hostname", "etc/resolv.conf",
	"var/lib/apt/*", "var/lib/dpkg/*", "var/cache/*", "var/log/*", "var/run",
	"usr/bin/containerd-stress", "usr/bin/containerd-shim", "usr/bin/containerd-shim-runc-v1",
	"usr/lib/cni/dhcp", "usr/lib/cni/firewall", "usr/lib/cni/macvlan", "usr/lib/cni/ipvlan", "usr/lib/cni/vlan", "usr/lib/cni/bandwidth",
	"usr/lib/cni/host-device", "usr/lib/cni/vrf", "usr/lib/cni/sbr", "usr/lib/cni/tuning", "usr/lib/cni/static",
}

// Unused tells whether a path of the root file system is left out. A pattern that ends in /* stands for all below.
func Unused(name string) bool {
	name = path.Clean(name)
	for _, pattern := range unused {
		dir, below := strings.CutSuffix(pattern, "/*")
		candidate := name
		if below {
			parts := strings.SplitAfterN(name, "/", strings.Count(dir, "/")+2)
			if len(parts) < strings.Count(dir, "/")+2 {
				continue
			}
			candidate = strings.TrimSuffix(strings.Join(parts[:len(parts)-1], ""), "/")
		}
		if matched, err := path.Match(dir, candidate); err == nil && matched {
			return true
		}
	}
	return false
}

// RootFS copies a root file system's tar to target without what is unused and without times, and gives the set of its
// programs' names and the contents of busybox.
func RootFS(source, target string) (programs map[string]bool, busybox []byte, err error) {
	in, err := os.Open(source)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	out, err := os.Create(target)
	if err != nil {
		return nil, nil, err
	}
	defer out.Close()
	programs, busybox, err = copyRoot(tar.NewReader(in), tar.NewWriter(out))
	if err != nil {
		return nil, nil, fmt.Errorf("root file system %s: %w", source, err)
	}
	return programs, busybox, out.Close()
}

func copyRoot(reader *tar.Reader, writer *tar.Writer) (programs map[string]bool, busybox []byte, err error) {
	programs = map[string]bool{}
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return programs, busybox, writer.Close()
		}
		if err != nil {
			return nil, nil, err
		}
		name := path.Clean(header.Name)
		if Unused(name) {
			continue
		}
		if dir := path.Dir(name); dir == "usr/bin" || dir == "usr/sbin" {
			programs[path.Base(name)] = true
		}
		header.ModTime, header.AccessTime, header.ChangeTime = epoch, time.Time{}, time.Time{}
		if err := writer.WriteHeader(header); err != nil {
			return nil, nil, err
		}
		var kept bytes.Buffer
		var to io.Writer = writer
		if name == "usr/bin/busybox" {
			to = io.MultiWriter(writer, &kept)
		}
		if _, err := io.Copy(to, reader); err != nil {
			return nil, nil, err
		}
		if kept.Len() > 0 {
			busybox = kept.Bytes()
		}
	}
}

// Applets turns busybox's list of applets into links, leaving out those that exist as programs of their own.
func Applets(list string, exists map[string]bool) []File {
	var links []File
	for _, name := range strings.Fields(list) {
		if name != "busybox" && !exists[name] {
			links = append(links, File{Path: "usr/bin/" + name, Link: "busybox"})
		}
	}
	return links
}
