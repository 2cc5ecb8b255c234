package neutron

import (
	"cmp"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// domainOf is the domain of the names on a network that says this of it.
func (s *Service) domainOf(network string) string { return cmp.Or(network, s.cfg.Domain) }

// rename gives a port the name that a request says. A name that is fully qualified must be in the port's domain, any other must
// still be a name when it stands there.
func rename(p *signalbox.Port, said *string) error {
	if said == nil || *said == p.DNSName {
		return nil
	}
	p.DNSName = *said
	switch _, full := p.NameOf(signalbox.FixedIP{}.Addr, p.Domain); {
	case p.DNSName == "":
	case strings.HasSuffix(p.DNSName, ".") && !strings.HasSuffix(p.DNSName, "."+p.Domain):
		return badName("The dns_name passed is a FQDN. Its higher level labels must be equal to the dns_domain of its network, which is '%s'", p.Domain)
	case len(full) > signalbox.MaxName:
		return badName("The dns_name passed makes a FQDN of %d characters in the domain '%s'. The most is %d", len(full), p.Domain, signalbox.MaxName)
	}
	return nil
}

func badName(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Invalid, "", "Invalid input for dns_name. Reason: "+format+".", args...)
}
