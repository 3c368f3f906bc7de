//go:build tools

// Keeps in go.mod what is built by its path and imported nowhere: main packages can't be.

package tools

import (
	_ "sigs.k8s.io/cluster-api"
	_ "sigs.k8s.io/cluster-api/bootstrap/kubeadm"
)
