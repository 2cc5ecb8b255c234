package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox/controller"
)

const goodToken = "0123456789abcdef"

// certificate writes a certificate of 127.0.0.1 that is its own authority and is good for an hour, and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	return certificateUntil(t, time.Now().Add(time.Hour))
}

func certificateUntil(t *testing.T, end time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: end, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, body []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", secret)
}

// TestAdminEndpointIsNotOpenToTheWorld: beyond loopback it is not begun without TLS and a token.
func TestAdminEndpointIsNotOpenToTheWorld(t *testing.T) {
	cert, key := certificate(t)
	for name, c := range map[string]struct {
		address, cert, key, token string
		refused                   string // "": it is not
	}{
		"loopback":                {"127.0.0.1:0", "", "", "", ""},
		"loopback, IPv6":          {"[::1]:0", "", "", "", ""},
		"loopback with all":       {"127.0.0.1:0", cert, key, goodToken, ""},
		"everywhere":              {":0", "", "", "", "not on loopback"},
		"everywhere with a token": {":0", "", "", goodToken, "not on loopback"},
		"everywhere with TLS":     {":0", cert, key, "", "not on loopback"},
		"everywhere with all":     {"0.0.0.0:0", cert, key, goodToken, ""},
		"half a certificate":      {"127.0.0.1:0", cert, "", goodToken, "one is nothing without the other"},
		"a token to guess":        {"127.0.0.1:0", "", "", "secret", "fewer than 16"},
		"no certificate there":    {":0", "/nowhere", "/nowhere", goodToken, "admin_tls_cert"},
	} {
		ln, err := net.Listen("tcp", c.address)
		if err != nil {
			if strings.Contains(c.address, "::1") {
				continue // a machine without IPv6
			}
			t.Fatal(err)
		}
		cfg := config{AdminTLSCert: c.cert, AdminTLSKey: c.key, AdminToken: c.token}
		if err = cfg.checkAdmin(); err == nil {
			_, err = cfg.secureAdmin("admin_listen", ln, slog.New(slog.DiscardHandler))
		}
		ln.Close()
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v, expected %q", name, err, c.refused)
		}
	}
}

// TestOperatorSpeaksTLSWithAToken: the commands reach an endpoint that asks for both.
func TestOperatorSpeaksTLSWithAToken(t *testing.T) {
	cert, key := certificate(t)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config{AdminTLSCert: cert, AdminTLSKey: key, AdminToken: goodToken}
	ln, err := cfg.secureAdmin("admin_listen", plain, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	served, stop := context.WithCancel(t.Context())
	defer stop()
	asked := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") })
	go controller.ServeAdmin(served, ln, cfg.AdminToken, slog.New(slog.DiscardHandler), asked) //nolint:errcheck // it ends with the test
	run := func(args ...string) error {
		cmd := hostsCommand()
		cmd.SetArgs(append([]string{"--admin", "https://" + ln.Addr().String()}, args...))
		cmd.SetOut(io.Discard)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		return cmd.Execute()
	}
	t.Setenv("SIGNALBOX_ADMIN_TOKEN", goodToken)
	if err := run("--admin-ca", cert); err != nil {
		t.Error(err)
	}
	if err := run(); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an authority that nobody named was believed: %v", err)
	}
	t.Setenv("SIGNALBOX_ADMIN_TOKEN", "another")
	if err := run("--admin-ca", cert); err == nil || !strings.Contains(err.Error(), "token is missing or wrong; it is taken from SIGNALBOX_ADMIN_TOKEN") {
		t.Errorf("with a wrong token: %v", err)
	}
	if err := run("--admin", ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "HTTP request to an HTTPS server") {
		t.Errorf("in the clear, for nothing else was said: %v", err)
	}
	if err := run("--admin", "http://"+ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "HTTP request to an HTTPS server") {
		t.Errorf("in the clear: %v", err)
	}
	for path, status := range map[string]int{"/metrics": 401, "/debug/pprof/heap": 401, "/healthz": 200} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		res, err := client.Get("https://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != status {
			t.Errorf("%s without a token: %s", path, res.Status)
		}
	}
	if _, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
}

// TestExpiredCertificateIsNamed: whoever asks is told what is wrong.
func TestExpiredCertificateIsNamed(t *testing.T) {
	cert, key := certificateUntil(t, time.Now().Add(-time.Minute))
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config{AdminTLSCert: cert, AdminTLSKey: key, AdminToken: goodToken}
	var log bytes.Buffer
	ln, err := cfg.secureAdmin("admin_listen", plain, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "expired") {
		t.Errorf("the log says %q", log.String())
	}
	served, stop := context.WithCancel(t.Context())
	defer stop()
	go controller.ServeAdmin(served, ln, cfg.AdminToken, slog.New(slog.DiscardHandler), http.NotFoundHandler()) //nolint:errcheck // it ends with the test
	cmd := hostsCommand()
	cmd.SetArgs([]string{"--admin", "https://" + ln.Addr().String(), "--admin-ca", cert})
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("%v", err)
	}
}

// TestSecondAPIServerGoesWithoutAnEndpoint: where nobody has said where, and the usual place is taken.
func TestSecondAPIServerGoesWithoutAnEndpoint(t *testing.T) {
	if taken, err := net.Listen("tcp", defaults().APIAdminListen); err == nil { // else another process has it, and it is taken too
		defer taken.Close()
	}
	c := defaults()
	if ln, err := c.apiAdmin(slog.New(slog.DiscardHandler)); ln != nil || err != nil {
		t.Errorf("%v, %v", ln, err)
	}
	for address, refused := range map[string]string{"": "", "127.0.0.1:0": "", "nowhere": "api_admin_listen", ":0": "api_admin_listen: [::]"} {
		c.APIAdminListen = address
		ln, err := c.apiAdmin(slog.New(slog.DiscardHandler))
		if (refused == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), refused) || (ln != nil) != (address == "127.0.0.1:0") {
			t.Errorf("%q: %v, %v", address, ln, err)
		}
		if ln != nil {
			ln.Close()
		}
	}
}
