package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAnUnknownVersionIsRefusedWithTheKnownOnes(t *testing.T) {
	t.Setenv("KUBERNETES_VERSION", "1.2.3")
	_, err := chosenKubernetes("modules")
	if err == nil || !strings.Contains(err.Error(), "1.36.3, 1.37.2") {
		t.Fatalf("got %v", err)
	}
}

func TestAVersionMayBeWrittenAsItsTag(t *testing.T) {
	t.Setenv("KUBERNETES_VERSION", "v1.37.2")
	if version, err := chosenKubernetes("modules"); version != "1.37.2" || err != nil {
		t.Fatalf("got %s, %v", version, err)
	}
}

func TestTheDefaultVersionIsPinned(t *testing.T) {
	t.Setenv("KUBERNETES_VERSION", "")
	if version, err := chosenKubernetes("modules"); version != defaultKubernetes || err != nil {
		t.Fatalf("got %s, %v", version, err)
	}
}

func TestEveryChangeOfADependencyChangesTheKey(t *testing.T) {
	m := module{name: "m", dir: t.TempDir()}
	seen := map[string]bool{}
	for _, content := range []struct{ mod, sum string }{{"a", "b"}, {"a", "c"}, {"ab", ""}, {"d", "b"}} {
		for name, text := range map[string]string{"go.mod": content.mod, "go.sum": content.sum} {
			if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		key, err := m.key()
		if err != nil {
			t.Fatal(err)
		}
		if seen[key] {
			t.Fatalf("%v has the key of another content", content)
		}
		seen[key] = true
	}
}

func TestPortsAreDistinctAndBelowThoseOfOutgoingConnections(t *testing.T) {
	ports, err := freePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 50 || ports[0] < lowestPort || ports[49] >= 32768 {
		t.Fatalf("got %v", ports)
	}
}

func TestAUserCertificateNamesTheUserAndItsGroups(t *testing.T) {
	ca, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.issueUser("system:node:a", []string{"system:nodes"})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(pair.certificate)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if certificate.Subject.CommonName != "system:node:a" || !slices.Equal(certificate.Subject.Organization, []string{"system:nodes"}) {
		t.Fatalf("got %v", certificate.Subject)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Fatal(err)
	}
}

func TestALineIsForOneComponent(t *testing.T) {
	s := &serving{controlPlane: &controlPlane{components: []*component{{name: "apiserver"}, {name: "apiserver-1"}, {name: "controller-manager"}}}}
	for target, want := range map[string]string{
		"apiserver":          "apiserver",
		"apiserver 0":        "apiserver",
		"apiserver 1":        "apiserver-1",
		"controller-manager": "controller-manager",
	} {
		if c, err := s.component(target); err != nil || c.name != want {
			t.Errorf("%q: got %v, %v", target, c, err)
		}
	}
	for _, target := range []string{"apiserver 2", "apiserver x", "kubelet", ""} {
		if c, err := s.component(target); err == nil {
			t.Errorf("%q: got %s", target, c.name)
		}
	}
}

func TestAnUninvitedDeathIsReportedWithTheLog(t *testing.T) {
	deaths := make(chan error, 1)
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("of an earlier process\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := startProcess("/bin/sh", []string{"-c", "echo no room; exit 3"}, nil, log, func(p *process) { deaths <- p.lost("sh") })
	if err != nil {
		t.Fatal(err)
	}
	death := (<-deaths).Error()
	if !strings.Contains(death, "exit status 3") || !strings.Contains(death, "no room") || strings.Contains(death, "earlier") {
		t.Fatalf("got %s", death)
	}
}

func TestATakenPortIsRecognised(t *testing.T) {
	deaths := make(chan error, 1)
	_, err := startProcess("/bin/sh", []string{"-c", "echo listen tcp: bind: address already in use >&2; exit 1"}, nil,
		filepath.Join(t.TempDir(), "log"), func(p *process) { deaths <- p.lost("sh") })
	if err != nil {
		t.Fatal(err)
	}
	if death := <-deaths; !errors.Is(death, errPortTaken) {
		t.Fatalf("got %v", death)
	}
}

func TestAKilledProcessIsGoneAndNotReported(t *testing.T) {
	p, err := startProcess("/bin/sleep", []string{"60"}, nil, filepath.Join(t.TempDir(), "log"), func(*process) {
		t.Error("reported as an uninvited death")
	})
	if err != nil {
		t.Fatal(err)
	}
	p.kill()
	if !p.isGone() {
		t.Fatal("it is still there")
	}
}

func TestTheEndOfTheLifelineEndsTheContext(t *testing.T) {
	ours, theirs := net.Pipe()
	ctx, lines := watchLifeline(context.Background(), ours)
	theirs.Write([]byte("restart-apiserver 1\n\n"))
	if line := <-lines; line != "restart-apiserver 1" {
		t.Fatalf("got %q", line)
	}
	if ctx.Err() != nil {
		t.Fatal("ended while the lifeline is held")
	}
	theirs.Close()
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("outlived its lifeline")
	}
}

func TestTheFolderIsClearedOfOurFilesOnly(t *testing.T) {
	l := layout{t.TempDir()}
	for _, name := range []string{"kubeconfig", "tenant.kubeconfig", "audit-1.log", "operator.log"} {
		if err := os.WriteFile(filepath.Join(l.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.clear(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"kubeconfig": false, "tenant.kubeconfig": false, "audit-1.log": false, "operator.log": true, "pki": true} {
		if exists(filepath.Join(l.dir, name)) != want {
			t.Errorf("%s: there is %t, want %t", name, !want, want)
		}
	}
}

func TestAFileIsNamedAfterItsUser(t *testing.T) {
	if name := fileName("system:node:a/../b"); name != "system-node-a-..-b" {
		t.Fatalf("got %s", name)
	}
}

func TestAFileThatManyWriteAtOnceIsAlwaysWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := bytes.Repeat([]byte("x"), 1<<16)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := writeWhole(path, content); err != nil {
				t.Error(err)
			}
			if read, err := os.ReadFile(path); err != nil || !bytes.Equal(read, content) {
				t.Errorf("%d bytes, %v", len(read), err)
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left over: %v %v", left, err)
	}
}
