package wire

import (
	"fmt"
	"math"

	"github.com/signalbox-sdn/signalbox"
)

// Quotas is the quota of the API reference: how many of each resource a project may have.
func Quotas() *Resource[signalbox.Quota] {
	type Q = signalbox.Quota
	r := &Resource[Q]{Name: "quota", Collection: "quotas"}
	for _, resource := range signalbox.QuotaResources {
		r.Attributes = append(r.Attributes, Attribute[Q]{
			Name: resource, Kind: integer(checkLimit), Access: Update, Value: func(q *Q) any { return q.Limits[resource] },
		})
	}
	r.Attributes = append(r.Attributes,
		Attribute[Q]{Name: "project_id", Kind: project(), Value: func(q *Q) any { return q.ProjectID }},
		Attribute[Q]{Name: "tenant_id", Alias: "project_id", Kind: project(), Value: func(q *Q) any { return q.ProjectID }},
	)
	return r
}

func checkLimit(n int) error {
	if n < signalbox.Unlimited || n > math.MaxInt32 {
		return fmt.Errorf("'%d' is not in valid range, from -1 to %d", n, math.MaxInt32)
	}
	return nil
}

// ReadProject reads a project's id in a URL.
func ReadProject(s string) (string, error) {
	if _, err := project().read(s); err != nil {
		return "", unconvertible("%s.", err)
	}
	return s, nil
}
