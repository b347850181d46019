package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const defaultKubernetes = "1.36.3"

// recipe is part of every cache key: raise it when binaries must be built anew though no go.mod
// has changed.
const recipe = "1"

// module is one go.mod under modules/: the dependencies of Kubernetes, etcd and kwok clash, so each
// has its own.
type module struct {
	name     string
	dir      string
	programs []program
	// version goes into the binaries where it is not empty; Kubernetes would serve a nonsensical
	// /version without it.
	version string
	// stages says that kwok's Stage documents are to be kept beside the binary.
	stages bool
	// tags are those of the build.
	tags string
	// sources are the files of a program that is ours.
	sources []string
}

type program struct{ name, pkg string }

func kubernetesModule(root, version string) module {
	component := func(name string) program { return program{name, "k8s.io/kubernetes/cmd/" + name} }
	return module{
		name: "kubernetes-" + version,
		dir:  filepath.Join(root, "kubernetes-"+version),
		programs: []program{
			component("kube-apiserver"),
			component("kube-controller-manager"),
			component("kube-scheduler"),
			component("kubectl"),
		},
		version: version,
	}
}

func etcdModule(root string) module {
	return module{
		name:     "etcd",
		dir:      filepath.Join(root, "etcd"),
		programs: []program{{"etcd", "go.etcd.io/etcd/server/v3"}},
	}
}

func kwokModule(root string) module {
	return module{
		name:     "kwok",
		dir:      filepath.Join(root, "kwok"),
		programs: []program{{"kwok", "sigs.k8s.io/kwok/cmd/kwok"}},
		stages:   true,
	}
}

// helmModule is no part of a control plane; `cluster helm` builds it for the tests of the chart.
func helmModule(root string) module {
	return module{
		name:     "helm",
		dir:      filepath.Join(root, "helm"),
		programs: []program{{"helm", "helm.sh/helm/v4/cmd/helm"}},
	}
}

// promtoolModule is no part of a control plane either; `cluster promtool` builds it for the tests of alerts and metrics. What
// would discover what to scrape is left out: that is most of it, and needs the clients of every cloud.
func promtoolModule(root string) module {
	return module{
		name:     "promtool",
		dir:      filepath.Join(root, "promtool"),
		programs: []program{{"promtool", "github.com/prometheus/prometheus/cmd/promtool"}},
		tags:     "remove_all_sd",
	}
}

// kstatusModule is a program of ours around the library by which Flux and Helm judge objects; `cluster kstatus`
// builds it for the tests of statuses.
func kstatusModule(root string) module {
	return module{
		name:     "kstatus",
		dir:      filepath.Join(root, "kstatus"),
		programs: []program{{"kstatus", "."}},
		sources:  []string{"main.go"},
	}
}

// fluxModule is the part of Flux that applies what is in Git; `cluster flux` builds it for the tests of GitOps.
func fluxModule(root string) module {
	return module{
		name:     "flux",
		dir:      filepath.Join(root, "flux"),
		programs: []program{{"kustomize-controller", "github.com/fluxcd/kustomize-controller"}},
	}
}

// argocdModule is a program of ours around Argo CD's controller and repository server; `cluster argocd` builds it for the tests of GitOps.
func argocdModule(root string) module {
	return module{
		name:     "argocd",
		dir:      filepath.Join(root, "argocd"),
		programs: []program{{"argocd", "."}},
		sources:  []string{"main.go"},
	}
}

// key names the module's folder in the cache. It changes with every byte that decides what is built.
func (m module) key() (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, recipe, m.name, m.programs)
	if m.tags != "" {
		fmt.Fprintln(hash, m.tags)
	}
	for _, name := range append([]string{"go.mod", "go.sum"}, m.sources...) {
		content, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, name, len(content))
		hash.Write(content)
	}
	return fmt.Sprintf("%s-%x", m.name, hash.Sum(nil)[:6]), nil
}

// linkerFlags sets what `/version` answers, in both places where Kubernetes keeps it.
func (m module) linkerFlags() string {
	flags := []string{"-s", "-w"}
	if m.version != "" {
		numbers := strings.SplitN(m.version, ".", 3)
		for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
			flags = append(flags,
				"-X", pkg+".gitVersion=v"+m.version,
				"-X", pkg+".gitMajor="+numbers[0],
				"-X", pkg+".gitMinor="+numbers[1],
			)
		}
	}
	return strings.Join(flags, " ")
}

// chosenKubernetes is the version that KUBERNETES_VERSION asks for.
func chosenKubernetes(root string) (string, error) {
	folders, err := filepath.Glob(filepath.Join(root, "kubernetes-*"))
	if err != nil {
		return "", err
	}
	var known []string
	for _, folder := range folders {
		known = append(known, strings.TrimPrefix(filepath.Base(folder), "kubernetes-"))
	}
	wanted := os.Getenv("KUBERNETES_VERSION")
	if wanted == "" {
		wanted = defaultKubernetes
	}
	wanted = strings.TrimPrefix(wanted, "v")
	if !slices.Contains(known, wanted) {
		return "", fmt.Errorf("KUBERNETES_VERSION=%s is not pinned here; choose one of %s", wanted, strings.Join(known, ", "))
	}
	return wanted, nil
}

// modulesRoot finds modules/ from any folder inside the checkout.
func modulesRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		for _, candidate := range []string{"modules", "tests/cluster/modules"} {
			root := filepath.Join(folder, candidate)
			if _, err := os.Stat(filepath.Join(root, "etcd", "go.mod")); err == nil {
				return root, nil
			}
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("tests/cluster/modules is not here; run this inside a checkout of the repository")
		}
		folder = parent
	}
}
