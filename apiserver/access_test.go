package apiserver_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver"
	"github.com/signalbox-sdn/signalbox/apiserver/auth"
)

// doorkeeper lets in whom the test says, and holds up whoever asks while there is something to wait for.
type doorkeeper struct {
	auth.NoAuth
	refuse error
	came   chan struct{}
	hold   chan struct{}
}

func (d doorkeeper) Challenge() string { return `Keystone uri="http://keystone.example:5000"` }

func (d doorkeeper) Authenticate(r *http.Request) (signalbox.Caller, error) {
	if d.hold != nil {
		d.came <- struct{}{}
		<-d.hold
	}
	if d.refuse != nil {
		return signalbox.Caller{}, d.refuse
	}
	return d.NoAuth.Authenticate(r)
}

// without is a server without a database: it can say which collections there are, and that is enough here.
func without(c apiserver.Config) *apiserver.Server {
	if c.Auth == nil {
		c.Auth = auth.NoAuth{Project: "p"}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return apiserver.New(c)
}

func get(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWhoIsNotKnownIsSentToKeystone(t *testing.T) {
	h := without(apiserver.Config{Auth: doorkeeper{refuse: signalbox.Errorf(signalbox.Unauthenticated, "", "The request you have made requires authentication.")}}).Handler()
	w := get(h, "/v2.0/networks")
	const want = `{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}`
	if w.Code != 401 || strings.TrimSpace(w.Body.String()) != want || w.Header().Get("WWW-Authenticate") != `Keystone uri="http://keystone.example:5000"` {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := get(h, "/"); w.Code != 200 {
		t.Errorf("GET /: %d: nobody can find out where to go", w.Code)
	}
}

func TestWhoOnlyReadsChangesNothing(t *testing.T) {
	h := without(apiserver.Config{}).Handler()
	for _, what := range []string{"POST /v2.0/networks", "PUT /v2.0/ports/a", "DELETE /v2.0/ports/a", "PUT /v2.0/routers/a/add_router_interface",
		"PUT /v2.0/networks/a/tags", "PUT /v2.0/networks/a/tags/b", "DELETE /v2.0/networks/a/tags/b"} { // CVE-2026-49299
		method, path, _ := strings.Cut(what, " ")
		r := httptest.NewRequest(method, path, strings.NewReader("{}"))
		r.Header.Set("X-Roles", "reader")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 403 || !strings.Contains(w.Body.String(), "PolicyNotAuthorized") {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
	}
	if w := get(h, "/v2.0/", "X-Roles", "reader"); w.Code != 200 {
		t.Errorf("a reader cannot read: %d", w.Code)
	}
}

func TestWithoutKeystoneTheAnswerIs503(t *testing.T) {
	h := without(apiserver.Config{Auth: doorkeeper{refuse: signalbox.Errorf(signalbox.Unavailable, "", "Keystone is gone")}}).Handler()
	if w := get(h, "/v2.0/"); w.Code != 503 || !strings.Contains(w.Body.String(), "ServiceUnavailable") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestTheLogHasWhatWasAskedAndNoSecret(t *testing.T) {
	var said bytes.Buffer
	h := without(apiserver.Config{Log: slog.New(slog.NewTextHandler(&said, nil))}).Handler()
	const global = "req-4f1c7bd4-0b30-4d2c-9f5f-5a4d2a3c1b0e"
	w := get(h, "/v2.0/?name=private", "X-Auth-Token", "gAAAAAsecret", "X-Project-Id", "q", "X-Openstack-Request-Id", global)
	own := w.Header().Get("X-Openstack-Request-Id")
	for _, want := range []string{"request_id=" + own, "global_request_id=" + global, "method=GET", "path=/v2.0/ ", "status=200",
		fmt.Sprintf("bytes=%d", w.Body.Len()), "project=q", "ms="} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the log lacks %s: %s", want, said.String())
		}
	}
	if own == global {
		t.Error("a client names our requests")
	}
	for _, secret := range []string{"gAAAAAsecret", "private"} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("the log has %s: %s", secret, said.String())
		}
	}
	said.Reset()
	get(h, "/v2.0/", "X-Openstack-Request-Id", "req-anything else\nlevel=ERROR")
	if strings.Contains(said.String(), "anything") {
		t.Errorf("the log has what is no request's id: %s", said.String())
	}
}

func TestAProjectThatAsksTooOftenIsTold(t *testing.T) {
	now := time.Unix(0, 0)
	h := without(apiserver.Config{Rate: 0.5, Burst: 3, Now: func() time.Time { return now }}).Handler()
	ask := func(project string, want int, when string) {
		t.Helper()
		w := get(h, "/v2.0/", "X-Project-Id", project)
		if w.Code != want {
			t.Errorf("%s: %d %s, want %d", when, w.Code, w.Body, want)
		}
		if want == 429 && (w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "HTTPTooManyRequests")) {
			t.Errorf("%s: %v %s", when, w.Header(), w.Body)
		}
	}
	for range 3 {
		ask("a", 200, "a burst")
	}
	ask("a", 429, "over the burst")
	ask("b", 200, "another project")
	now = now.Add(1999 * time.Millisecond)
	ask("a", 429, "a little early")
	now = now.Add(time.Millisecond)
	ask("a", 200, "after two seconds")
	ask("a", 429, "again")
	now = now.Add(time.Hour)
	for range 3 {
		ask("a", 200, "a burst, after a pause")
	}
	ask("a", 429, "no more than that")
}

func TestWhatIsTooMuchAtOnceIsRefusedAtOnce(t *testing.T) {
	door := doorkeeper{NoAuth: auth.NoAuth{Project: "p"}, came: make(chan struct{}, 2), hold: make(chan struct{})}
	h := without(apiserver.Config{Auth: door, AtOnce: 2}).Handler()
	var busy sync.WaitGroup
	for range 2 {
		busy.Go(func() {
			if w := get(h, "/v2.0/"); w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
		<-door.came
	}
	if w := get(h, "/v2.0/"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	close(door.hold)
	busy.Wait()
	if w := get(h, "/v2.0/"); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// certify writes a new certificate for 127.0.0.1, valid as its own authority, and its key.
func certify(t *testing.T, certFile, keyFile string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := &x509.Certificate{SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, made, made, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

func TestANewCertificateNeedsNoRestart(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first := certify(t, cert, key, 1)
	certificate, err := apiserver.LoadCertificate(cert, key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "https://" + l.Addr().String() + "/"
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := without(apiserver.Config{Certificate: certificate}).Run(ctx, l); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer stop()
	connect := func(pool *x509.CertPool) error {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport}).Get(url)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	if err := connect(first); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte("half of a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := connect(first); err != nil {
		t.Errorf("while the key is written: %v", err)
	}
	second := certify(t, cert, key, 2)
	if err := connect(second); err != nil {
		t.Errorf("with the new certificate: %v", err)
	}
	if err := connect(first); err == nil {
		t.Error("the old certificate goes on")
	}
	if _, err := apiserver.LoadCertificate(key, cert, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a key is taken for a certificate")
	}
}
