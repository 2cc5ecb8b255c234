package apiserver

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificate is a certificate and its key in two files of PEM. When they change, new connections get the new one;
// while they cannot be read, or do not belong together, the one before.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	present *tls.Certificate
	seen    [2]stamp // the files as they were when they were read last, with success or without
}

// stamp tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// LoadCertificate fails where there is no certificate to begin with.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	return c, c.read(c.stamps())
}

// TLS is the settings of a server that shows the certificate.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.get(), nil
	}}
}

// get is the certificate of a connection that begins now. Asking two files for their age is little beside a handshake.
func (c *Certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seen := c.stamps(); seen != c.seen {
		if err := c.read(seen); err != nil {
			c.log.Error("the old certificate is kept", "error", err)
		} else {
			c.log.Info("there is a new certificate", "file", c.certFile)
		}
	}
	return c.present
}

// read reads the files. Called with mu held, or before anybody else knows of c.
func (c *Certificate) read(seen [2]stamp) error {
	c.seen = seen
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("the certificate %s with the key %s: %w", c.certFile, c.keyFile, err)
	}
	if end := pair.Leaf.NotAfter; time.Now().After(end) {
		c.log.Warn("the certificate has expired: clients will not believe it", "file", c.certFile, "expired", end)
	}
	c.present = &pair
	return nil
}

// stamps are zero where there is no file.
func (c *Certificate) stamps() (seen [2]stamp) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			seen[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return seen
}
