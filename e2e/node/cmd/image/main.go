// Command image is the last step of build.sh: it writes the node image, as a docker-archive on standard output, from a
// root file system and the binaries. The images that the node itself needs are made here too and put inside.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/finos/5spot-rs/e2e/node/internal/archive"
	"github.com/finos/5spot-rs/e2e/node/internal/config"
)

// components are the names by which kube is called.
var components = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"}

func main() {
	rootfs := flag.String("rootfs", "", "tar `file` of the root file system")
	binaries := flag.String("binaries", "", "`directory` with coredns, k3s, kube and pause")
	work := flag.String("work", "", "`directory` for the layers")
	tags := flag.String("tags", "", "comma-separated `names` of the image")
	flag.Parse()
	if err := run(*rootfs, *binaries, *work, strings.Split(*tags, ",")); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}

func run(rootfs, binaries, work string, tags []string) error {
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	root, upstream, node := filepath.Join(work, "root.tar"), filepath.Join(work, "upstream.tar"), filepath.Join(work, "node.tar")
	programs, busybox, err := archive.RootFS(rootfs, root)
	if err != nil {
		return err
	}
	applets, err := appletList(busybox, work)
	if err != nil {
		return err
	}
	bundled, err := bundledImages(binaries, work)
	if err != nil {
		return err
	}
	// What rarely changes is in a layer below: the engine keeps it once for all builds.
	files := append(bundled, archive.File{Path: "usr/bin/kube", Source: filepath.Join(binaries, "kube"), Mode: 0o755})
	for _, name := range components {
		files = append(files, archive.File{Path: "usr/bin/" + name, Link: "kube"})
	}
	if err := archive.Layer(upstream, append(files, archive.Applets(applets, programs)...)); err != nil {
		return err
	}
	if err := archive.Layer(node, nodeFiles(binaries)); err != nil {
		return err
	}
	return archive.Write(os.Stdout, archive.Image{Tags: tags, Layers: []string{root, upstream, node}, Config: archive.Config{
		Entrypoint: []string{"/bin/k3s"},
		Env:        []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Labels:     map[string]string{"org.opencontainers.image.title": "5-Spot test node: upstream Kubernetes with k3s's container contract"},
		// An overlay can't lie on an overlay: these are volumes of the machine's own file system.
		Volumes:      map[string]struct{}{"/var/lib/containerd": {}, "/var/lib/kubelet": {}, config.EtcdDir: {}},
		ExposedPorts: map[string]struct{}{config.APIPort + "/tcp": {}},
		StopSignal:   "SIGTERM",
	}})
}

// nodeFiles are what package scripts would have set up, and the entrypoint.
func nodeFiles(binaries string) []archive.File {
	return []archive.File{
		{Path: "usr/bin/k3s", Source: filepath.Join(binaries, "k3s"), Mode: 0o755},
		{Path: "etc/passwd", Text: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", Mode: 0o644},
		{Path: "etc/group", Text: "root:x:0:\nnogroup:x:65534:\n", Mode: 0o644},
		{Path: "etc/nsswitch.conf", Text: "hosts: files dns\n", Mode: 0o644},
		{Path: "var/run", Link: "/run"},
	}
}

func appletList(busybox []byte, work string) (string, error) {
	if len(busybox) == 0 {
		return "", fmt.Errorf("the root file system has no /usr/bin/busybox")
	}
	program := filepath.Join(work, "busybox")
	if err := os.WriteFile(program, busybox, 0o755); err != nil {
		return "", err
	}
	list, err := exec.Command(program, "--list").Output()
	if err != nil {
		return "", fmt.Errorf("list of busybox's applets: %w", err)
	}
	return string(list), nil
}

// bundledImages makes the images of pause and CoreDNS and gives them as files of the node image.
func bundledImages(binaries, work string) ([]archive.File, error) {
	var files []archive.File
	for name, tag := range map[string]string{"pause": config.PauseImage, "coredns": config.CoreDNSImage} {
		layer, tarball := filepath.Join(work, name+"-layer.tar"), filepath.Join(work, name+".tar")
		if err := archive.Layer(layer, []archive.File{{Path: name, Source: filepath.Join(binaries, name), Mode: 0o755}}); err != nil {
			return nil, err
		}
		out, err := os.Create(tarball)
		if err != nil {
			return nil, err
		}
		defer out.Close()
		image := archive.Image{Tags: []string{tag}, Layers: []string{layer}, Config: archive.Config{Entrypoint: []string{"/" + name}, User: "65532:65532"}}
		if err := archive.Write(out, image); err != nil {
			return nil, err
		}
		if err := out.Close(); err != nil {
			return nil, err
		}
		files = append(files, archive.File{Path: strings.TrimPrefix(config.BundledImagesDir, "/") + "/" + name + ".tar", Source: tarball, Mode: 0o644})
	}
	return files, nil
}
