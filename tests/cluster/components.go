package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path"
	"strings"
)

// component is one program of the control plane, running or not.
type component struct {
	name        string
	path        string
	arguments   []string
	environment []string
	// ready asks once.
	ready   func(context.Context) error
	running *process
}

//go:embed manifests/*.yaml
var manifests embed.FS

// controlPlane is everything that a start decides before the first process runs.
type controlPlane struct {
	layout  layout
	tools   tools
	ca      authority
	client  client
	servers []string
	store   string
	// components are in the order in which they start.
	components []*component
}

// serviceRange is for ClusterIPs; nothing routes them here.
const serviceRange = "10.96.0.0/16"

// design writes the certificates, kubeconfigs and manifests of a new control plane.
func design(l layout, t tools, wanted size) (*controlPlane, error) {
	if err := l.clear(); err != nil {
		return nil, err
	}
	ca, err := newPKI(l)
	if err != nil {
		return nil, err
	}
	admin, err := newClient(ca)
	if err != nil {
		return nil, err
	}
	// Two for etcd, one each for the scheduler, the controller manager and kwok.
	ports, err := freePorts(5 + wanted.apiservers)
	if err != nil {
		return nil, err
	}
	plane := &controlPlane{layout: l, tools: t, ca: ca, client: admin}
	for _, port := range ports[5:] {
		plane.servers = append(plane.servers, "https://"+loopback(port))
	}
	if err := plane.writeManifests(); err != nil {
		return nil, err
	}
	if err := plane.writeIdentities(); err != nil {
		return nil, err
	}

	plane.store = "http://" + loopback(ports[0])
	plane.components = append(plane.components, plane.etcd(plane.store, "http://"+loopback(ports[1])))
	for i, port := range ports[5:] {
		plane.components = append(plane.components, plane.apiserver(i, port, plane.store, wanted.flags))
	}
	plane.components = append(plane.components,
		plane.controllerManager(ports[2]),
		plane.scheduler(ports[3]),
		plane.kwok(ports[4]),
	)
	return plane, nil
}

func (p *controlPlane) writeManifests() error {
	entries, err := manifests.ReadDir("manifests")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		content, err := manifests.ReadFile(path.Join("manifests", entry.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.layout.manifest(entry.Name()), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeIdentities gives every component a user of its own, which is what makes the audit log
// legible.
func (p *controlPlane) writeIdentities() error {
	for _, identity := range []struct {
		path, user string
		groups     []string
	}{
		{p.layout.kubeconfig(), "admin", []string{"system:masters"}},
		{p.layout.kubeconfigOf("admin"), "admin", []string{"system:masters"}},
		{p.layout.kubeconfigOf("tenant"), "tenant", nil},
		{p.layout.kubeconfigOf("controller-manager"), "system:kube-controller-manager", nil},
		{p.layout.kubeconfigOf("scheduler"), "system:kube-scheduler", nil},
		// kwok writes what kubelets, provisioners and the node's cloud write.
		{p.layout.kubeconfigOf("kwok"), "kwok", []string{"system:masters"}},
	} {
		if err := p.ca.writeUser(identity.path, p.servers[0], identity.user, identity.groups...); err != nil {
			return err
		}
	}
	return nil
}

func (p *controlPlane) etcd(clients, peers string) *component {
	return &component{
		name: "etcd",
		path: p.tools.etcd,
		arguments: []string{
			"--name=rempart",
			"--data-dir=" + p.layout.etcd(),
			"--listen-client-urls=" + clients,
			"--advertise-client-urls=" + clients,
			"--listen-peer-urls=" + peers,
			"--initial-advertise-peer-urls=" + peers,
			"--initial-cluster=rempart=" + peers,
			// The data need not survive a power cut, and syncing dominates the time of a write.
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
		ready: p.answers(clients + "/health"),
	}
}

func (p *controlPlane) apiserver(index, port int, etcd string, flags []string) *component {
	return &component{
		name: numbered("apiserver", index),
		path: p.tools.apiserver,
		arguments: append([]string{
			"--bind-address=127.0.0.1",
			"--advertise-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", port),
			// The reconciler refuses loopback addresses for the kubernetes service.
			"--endpoint-reconciler-type=none",
			"--etcd-servers=" + etcd,
			"--service-cluster-ip-range=" + serviceRange,
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--client-ca-file=" + p.layout.pki("ca.crt"),
			"--tls-cert-file=" + p.layout.pki("server.crt"),
			"--tls-private-key-file=" + p.layout.pki("server.key"),
			// Nothing is aggregated here, but the scheduler and the controller manager fill their logs
			// with complaints where they cannot read these settings.
			"--requestheader-client-ca-file=" + p.layout.pki("ca.crt"),
			"--requestheader-allowed-names=front-proxy",
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + p.layout.pki("sa.pub"),
			"--service-account-signing-key-file=" + p.layout.pki("sa.key"),
			"--audit-policy-file=" + p.layout.manifest("audit-policy.yaml"),
			"--audit-log-path=" + p.layout.audit(index),
			// In MiB: a log that is rotated away cannot be read by a test.
			"--audit-log-maxsize=100000",
		}, flags...),
		ready: p.answers(p.servers[index] + "/readyz"),
	}
}

func (p *controlPlane) controllerManager(port int) *component {
	kubeconfig := p.layout.kubeconfigOf("controller-manager")
	return &component{
		name: "controller-manager",
		path: p.tools.controllerManager,
		arguments: append(p.controller(port, kubeconfig),
			"--controllers=*",
			"--use-service-account-credentials",
			"--root-ca-file="+p.layout.pki("ca.crt"),
			"--service-account-private-key-file="+p.layout.pki("sa.key"),
			"--cluster-signing-cert-file="+p.layout.pki("ca.crt"),
			"--cluster-signing-key-file="+p.layout.pki("ca.key"),
			"--service-cluster-ip-range="+serviceRange,
			// kwok renews a node's lease every 50 s, a quarter of its duration; see kwok below.
			"--node-monitor-grace-period=200s",
			"--node-monitor-period=1s",
		),
		ready: func(ctx context.Context) error {
			if err := p.client.get(ctx, "https://"+loopback(port)+"/healthz", nil); err != nil {
				return err
			}
			// Without it no pod is admitted to the namespace.
			return p.client.get(ctx, p.servers[0]+"/api/v1/namespaces/default/serviceaccounts/default", nil)
		},
	}
}

func (p *controlPlane) scheduler(port int) *component {
	return &component{
		name:      "scheduler",
		path:      p.tools.scheduler,
		arguments: p.controller(port, p.layout.kubeconfigOf("scheduler")),
		ready:     p.answers("https://" + loopback(port) + "/readyz"),
	}
}

// controller is what the scheduler and the controller manager have in common.
func (p *controlPlane) controller(port int, kubeconfig string) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + p.layout.pki("server.crt"),
		"--tls-private-key-file=" + p.layout.pki("server.key"),
		// There is one of each.
		"--leader-elect=false",
		// The default rates are meant to spare a shared API server.
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
	}
}

func (p *controlPlane) kwok(port int) *component {
	stages := append([]string{p.layout.manifest("volume-stages.yaml")}, p.tools.stages...)
	return &component{
		name: "kwok",
		path: p.tools.kwok,
		arguments: []string{
			"--kubeconfig=" + p.layout.kubeconfigOf("kwok"),
			"--manage-all-nodes=true",
			// Long, so that the heartbeats of a thousand nodes are not most of the load.
			"--node-lease-duration-seconds=200",
			"--node-ip=127.0.0.1",
			"--server-address=" + loopback(port),
			"--config=" + strings.Join(stages, ","),
		},
		// Its default is a folder in the home of whoever runs this, whose configuration it would read.
		environment: []string{"KWOK_WORKDIR=" + p.layout.dir + "/kwok"},
		ready:       p.answers("http://" + loopback(port) + "/healthz"),
	}
}

func (p *controlPlane) answers(url string) func(context.Context) error {
	return func(ctx context.Context) error { return p.client.get(ctx, url, nil) }
}
