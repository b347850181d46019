package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tools are the programs of one control plane, wherever they come from.
type tools struct {
	kubernetes string

	etcd, apiserver, controllerManager, scheduler, kubectl, kwok string

	// stages are kwok's documents about nodes and pods.
	stages []string
}

// resolve says where every program is, and builds those that are nowhere.
func resolve(ctx context.Context) (tools, error) {
	root, err := modulesRoot()
	if err != nil {
		return tools{}, err
	}
	version, err := chosenKubernetes(root)
	if err != nil {
		return tools{}, err
	}
	given, err := givenAssets()
	if err != nil {
		return tools{}, err
	}

	wanted := []module{kubernetesModule(root, version), kwokModule(root)}
	if _, ok := given["etcd"]; !ok {
		wanted = append(wanted, etcdModule(root))
	}
	folders, err := buildMissing(ctx, wanted)
	if err != nil {
		return tools{}, err
	}

	path := func(module, name string) string {
		if path, ok := given[name]; ok {
			return path
		}
		return filepath.Join(folders[module], name)
	}
	kubernetes := "kubernetes-" + version
	stages, err := filepath.Glob(filepath.Join(folders["kwok"], "stages", "*.yaml"))
	if err != nil {
		return tools{}, err
	}
	return tools{
		kubernetes:        version,
		etcd:              path("etcd", "etcd"),
		apiserver:         path(kubernetes, "kube-apiserver"),
		controllerManager: path(kubernetes, "kube-controller-manager"),
		scheduler:         path(kubernetes, "kube-scheduler"),
		kubectl:           path(kubernetes, "kubectl"),
		kwok:              path("kwok", "kwok"),
		stages:            stages,
	}, nil
}

// givenAssets honours KUBEBUILDER_ASSETS, the folder that setup-envtest fills.
func givenAssets() (map[string]string, error) {
	folder := os.Getenv("KUBEBUILDER_ASSETS")
	if folder == "" {
		return nil, nil
	}
	given := map[string]string{}
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("KUBEBUILDER_ASSETS has no %s (%w); complete the folder, or unset the variable to use the pinned build", name, err)
		}
		given[name] = path
	}
	return given, nil
}

// cacheRoot is outside of the checkout, so that clones and worktrees share the builds.
func cacheRoot() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for the cache; set XDG_CACHE_HOME: %w", err)
		}
		base = filepath.Join(home, ".cache")
	}
	root := filepath.Join(base, "rempart", "control-plane")
	return root, os.MkdirAll(root, 0o755)
}

// buildMissing returns the cache folder of every module by its name.
func buildMissing(ctx context.Context, modules []module) (map[string]string, error) {
	root, err := cacheRoot()
	if err != nil {
		return nil, err
	}
	folders := map[string]string{}
	var missing []module
	progress := &progress{}
	for _, m := range modules {
		key, err := m.key()
		if err != nil {
			return nil, err
		}
		folders[m.name] = filepath.Join(root, key)
		if !exists(folders[m.name]) {
			missing = append(missing, m)
			progress.total += len(m.programs)
		}
	}
	if len(missing) == 0 {
		return folders, nil
	}
	say("compiling %d programs into %s; a whole control plane takes about 6 minutes on two cores, later runs find it there", progress.total, root)
	for _, m := range missing {
		if err := m.build(ctx, folders[m.name], progress); err != nil {
			return nil, err
		}
	}
	return folders, nil
}

// build fills the module's folder in one step: it is either complete or not there.
func (m module) build(ctx context.Context, folder string, progress *progress) error {
	held, err := waitLock(ctx, folder+".lock", "is building "+m.name)
	if err != nil {
		return err
	}
	defer held.release()
	if exists(folder) {
		progress.skip(len(m.programs))
		return nil
	}

	unfinished := folder + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return err
	}
	for _, c := range m.programs {
		err := progress.step(c.name, func() error {
			_, err := m.goTool(ctx, "build", "-mod=readonly", "-trimpath", "-tags", m.tags, "-ldflags", m.linkerFlags(),
				"-o", filepath.Join(unfinished, c.name), c.pkg)
			return err
		})
		if err != nil {
			return fmt.Errorf("cannot build %s from %s: %w", c.name, m.dir, err)
		}
	}
	if m.stages {
		if err := m.copyStages(ctx, filepath.Join(unfinished, "stages")); err != nil {
			return fmt.Errorf("cannot copy kwok's stages: %w", err)
		}
	}
	return os.Rename(unfinished, folder)
}

// copyStages keeps kwok's own documents about nodes and pods, in the variants without delays. Those
// about volumes are ours, see manifests/volume-stages.yaml.
func (m module) copyStages(ctx context.Context, target string) error {
	output, err := m.goTool(ctx, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	source := filepath.Join(strings.TrimSpace(output), "kustomize", "stage")
	for _, name := range []string{
		"node/fast/node-initialize.yaml",
		"node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
		"pod/fast/pod-ready.yaml",
		"pod/fast/pod-complete.yaml",
		"pod/fast/pod-delete.yaml",
	} {
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(target, filepath.Base(name)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// goTool runs the go command in the module and returns what it prints.
func (m module) goTool(ctx context.Context, arguments ...string) (string, error) {
	var output bytes.Buffer
	run := exec.CommandContext(ctx, "go", arguments...)
	run.Dir = m.dir
	// A workspace or flags of the caller must not change what is built.
	run.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	run.Stdout = &output
	run.Stderr = os.Stderr
	// The go command ends its compilers when it is interrupted; killed, it would leave them behind.
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = 10 * time.Second
	err := run.Run()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("the go command is not on PATH; install Go (see the go line in the module's go.mod for the version)")
	case err != nil:
		return "", fmt.Errorf("go %s: %w; its messages are above", arguments[0], err)
	}
	return output.String(), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// progress tells which program of how many is being built; a compiler that is silent for minutes
// looks like one that hangs.
type progress struct{ done, total int }

func (p *progress) skip(count int) { p.done += count }

func (p *progress) step(name string, work func() error) error {
	p.done++
	begin := time.Now()
	elapsed := func() time.Duration { return time.Since(begin).Round(time.Second) }
	say("%d of %d: building %s", p.done, p.total, name)

	finished := make(chan error, 1)
	go func() { finished <- work() }()
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	for {
		select {
		case err := <-finished:
			if err == nil {
				say("%d of %d: built %s in %s", p.done, p.total, name, elapsed())
			}
			return err
		case <-beat.C:
			say("%d of %d: still building %s after %s", p.done, p.total, name, elapsed())
		}
	}
}
