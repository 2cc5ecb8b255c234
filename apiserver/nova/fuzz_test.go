package nova

import "testing"

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"events":[{"code":200,"name":"network-changed","server_uuid":"ff1df7b0-6772-45fd-9326-c0a3b05591c2","status":"completed","tag":"foo"}]}`,
		`{"events":[{"code":422,"name":"network-vif-plugged","server_uuid":"x","status":"failed"}]}`,
		`{"itemNotFound":{"message":"No instances found for any event","code":404}}`, `{"events":null}`, `{"events":{}}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		codes, err := parseAnswer(body)
		if err == nil && codes == nil {
			t.Errorf("%q says nothing, and is no error", body)
		}
		for key, code := range codes {
			if code == 0 {
				t.Errorf("%q: %s has no code", body, key)
			}
		}
		isNovas(body, "itemNotFound")
	})
}
