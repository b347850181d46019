package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client speaks to the control plane as its administrator.
type client struct{ http *http.Client }

func newClient(ca authority) (client, error) {
	pair, err := ca.issueUser("supervisor", []string{"system:masters"})
	if err != nil {
		return client{}, err
	}
	certificate, err := tls.X509KeyPair(pair.certificate, pair.key)
	if err != nil {
		return client{}, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	return client{&http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{
				Certificates: []tls.Certificate{certificate},
				RootCAs:      roots,
				ServerName:   "localhost",
			},
			// A connection kept open would survive the API server at its other end.
			DisableKeepAlives: true,
		},
	}}, nil
}

// statusError is an answer other than success.
type statusError struct {
	code int
	body string
}

func (e statusError) Error() string {
	return fmt.Sprintf("answered %d: %s", e.code, e.body)
}

// get reads a JSON answer into a value, or only wants success where the value is nil.
func (c client) get(ctx context.Context, url string, into any) error {
	return c.call(ctx, http.MethodGet, url, nil, into)
}

func (c client) create(ctx context.Context, url string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, url, body, nil)
}

func (c client) call(ctx context.Context, method, url string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return statusError{answer.StatusCode, string(content)}
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(content, into)
}
