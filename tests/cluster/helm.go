package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
)

// helmTools are what the tests of the chart need beside a control plane.
type helmTools struct {
	Helm string `json:"helm"`
	// CRDs is the folder with the kinds of the Prometheus operator, which the chart may make.
	CRDs string `json:"crds"`
}

// helmCommand prints where Helm is, and builds it if it is nowhere.
func helmCommand(ctx context.Context) error {
	helm, err := compiled(ctx, helmModule)
	if err != nil {
		return err
	}
	release, err := released(ctx, "monitoring", "github.com/prometheus-operator/prometheus-operator")
	if err != nil {
		return err
	}
	crds := filepath.Join(release, "example", "prometheus-operator-crd")
	return json.NewEncoder(os.Stdout).Encode(helmTools{Helm: helm, CRDs: crds})
}
