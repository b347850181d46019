package main

import (
	"encoding/base64"
	"fmt"
)

// kubeconfig is one user at one API server, complete in one file.
type kubeconfig struct {
	server string
	ca     []byte
	user   string
	// pair or token is how the user proves who it is.
	pair  keyPair
	token string
}

func (k kubeconfig) write(path string) error {
	proof := fmt.Sprintf("token: %q", k.token)
	if k.token == "" {
		proof = fmt.Sprintf("client-certificate-data: %s\n    client-key-data: %s",
			base64.StdEncoding.EncodeToString(k.pair.certificate), base64.StdEncoding.EncodeToString(k.pair.key))
	}
	return writeWhole(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: rempart
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: %q
  user:
    %s
contexts:
- name: rempart
  context:
    cluster: rempart
    user: %q
current-context: rempart
`, k.server, base64.StdEncoding.EncodeToString(k.ca), k.user, proof, k.user))
}

// writeUser gives a certificate user a kubeconfig.
func (a authority) writeUser(path, server, user string, groups ...string) error {
	pair, err := a.issueUser(user, groups)
	if err != nil {
		return err
	}
	return kubeconfig{server: server, ca: a.pem, user: user, pair: pair}.write(path)
}
