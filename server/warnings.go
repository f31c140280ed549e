package server

// warnings are told at each start: of settings that let through, or tell, more than most want.
type warnings struct {
	insecure, shadow bool
	// everyProxy has the trusted proxies that are all addresses, where proxies ask.
	everyProxy string
}

// warn logs the warnings of a start.
func (s *Server) warn() {
	where := []any{"addr", s.Addr(), "tls", s.tls != nil}
	if s.forwardAuth != nil {
		where = append(where, "forward_auth_addr", s.ForwardAuthAddr())
	}
	if s.warnings.insecure {
		s.log.Warn("insecure: everybody who can connect may ask, and learn what is allowed", where...)
	}
	if s.warnings.shadow {
		s.log.Warn("shadow: every client of a proxy passes, whatever the policies say; leave --shadow out to enforce them", where...)
	}
	if s.warnings.everyProxy != "" {
		s.log.Warn("every address is a trusted proxy: each client of a proxy can choose the address that it is taken for; give "+
			"the proxies' own", append(where, "trusted_proxies", s.warnings.everyProxy)...)
	}
}
