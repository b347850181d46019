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
	const operator = "github.com/prometheus-operator/prometheus-operator"
	release, err := released(ctx, filepath.Join(root, "monitoring"), operator)
	if err != nil {
		return err
	}
	crds := filepath.Join(release, "example", "prometheus-operator-crd")
	return json.NewEncoder(os.Stdout).Encode(helmTools{Helm: filepath.Join(folders["helm"], "helm"), CRDs: crds})
}

// released is a module's folder in Go's own module cache, fetched if it lacks it; the go.mod in dir says
// which release of it. Nothing of it is compiled.
func released(ctx context.Context, dir, path string) (string, error) {
	m := module{name: filepath.Base(dir), dir: dir}
	output, err := m.goTool(ctx, "mod", "download", "-json", path)
	if err != nil {
		return "", fmt.Errorf("cannot fetch %s: %w", path, err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal([]byte(output), &downloaded); err != nil {
		return "", err
	}
	return downloaded.Dir, nil
}
