package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/signalbox-sdn/signalbox/apiserver"
)

// leastToken is the fewest characters of a token that is worth asking for.
const leastToken = 16

// checkAdmin refuses settings of the admin endpoint that make no sense wherever it is.
func (c *config) checkAdmin() error {
	switch {
	case (c.AdminTLSCert == "") != (c.AdminTLSKey == ""):
		return errors.New("admin_tls_cert and admin_tls_key: one is nothing without the other")
	case c.AdminToken != "" && len(c.AdminToken) < leastToken:
		return fmt.Errorf("admin_token: it has fewer than %d characters", leastToken)
	}
	return nil
}

// secureAdmin has an admin endpoint, whose address key says, speak TLS where there is a certificate. Whoever reaches it can move gateways and read all
// networks, so that beyond loopback it is not served in the clear, nor to everybody.
func (c *config) secureAdmin(key string, ln net.Listener, log *slog.Logger) (net.Listener, error) {
	at, isTCP := ln.Addr().(*net.TCPAddr)
	if beyond := !isTCP || !at.IP.IsLoopback(); beyond && (c.AdminTLSCert == "" || c.AdminToken == "") {
		return nil, fmt.Errorf("%s: %s is not on loopback, and there it needs admin_tls_cert, admin_tls_key and admin_token", key, ln.Addr())
	}
	if c.AdminTLSCert == "" {
		return ln, nil
	}
	certificate, err := apiserver.LoadCertificate(c.AdminTLSCert, c.AdminTLSKey, log)
	if err != nil {
		return nil, fmt.Errorf("admin_tls_cert: %w", err)
	}
	settings := certificate.TLS()
	settings.NextProtos = []string{"http/1.1"} // what net/http speaks on a listener that is not its own
	return tls.NewListener(ln, settings), nil
}

// apiAdmin is the endpoint of an API server's operator; nil where there is none. A second API server on one machine whose endpoint nobody has
// given a place goes without.
func (c *config) apiAdmin(log *slog.Logger) (net.Listener, error) {
	if c.APIAdminListen == "" {
		return nil, nil
	}
	ln, err := net.Listen("tcp", c.APIAdminListen)
	if err != nil && c.APIAdminListen == defaults().APIAdminListen {
		log.Warn("the API server has no admin endpoint: give it an api_admin_listen of its own", "error", err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("api_admin_listen: %w", err)
	}
	secured, err := c.secureAdmin("api_admin_listen", ln, log)
	if err != nil {
		ln.Close()
	}
	return secured, err
}
