package main

import (
	"context"
	"encoding/json"
	"fmt"
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
	root, err := modulesRoot()
	if err != nil {
		return err
	}
	folders, err := buildMissing(ctx, []module{helmModule(root)})
	if err != nil {
		return err
	}
	crds, err := monitoringCRDs(ctx, root)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(helmTools{Helm: filepath.Join(folders["helm"], "helm"), CRDs: crds})
}

// monitoringCRDs is a folder in Go's own module cache: nothing of that module is compiled.
func monitoringCRDs(ctx context.Context, root string) (string, error) {
	const path = "github.com/prometheus-operator/prometheus-operator"
	m := module{name: "monitoring", dir: filepath.Join(root, "monitoring")}
	output, err := m.goTool(ctx, "mod", "download", "-json", path)
	if err != nil {
		return "", fmt.Errorf("cannot fetch the CRDs of the Prometheus operator: %w", err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal([]byte(output), &downloaded); err != nil {
		return "", err
	}
	return filepath.Join(downloaded.Dir, "example", "prometheus-operator-crd"), nil
}
