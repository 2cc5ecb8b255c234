package signalbox

// QuotaResources are the resources that a project's share can be limited of, by their names in the API and in the order in
// which they are shown.
var QuotaResources = [...]string{
	"network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule", "subnetpool", "rbac_policy",
}

// Unlimited is the limit that is none.
const Unlimited = -1

// Quota is how much a project may have.
type Quota struct {
	ProjectID string
	Limits    map[string]int // resource -> how many of it, or Unlimited
}
