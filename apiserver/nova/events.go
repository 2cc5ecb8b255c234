package nova

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// event is one of those of POST /os-server-external-events (Compute API, "Create external events"), as it is sent and as it comes
// back.
type event struct {
	Name       string `json:"name"`
	ServerUUID string `json:"server_uuid"`
	Status     string `json:"status"`
	Tag        string `json:"tag"`
	Code       int    `json:"code,omitempty"`
}

func (e event) key() string { return e.ServerUUID + " " + e.Name + " " + e.Tag }

func (n *news) event() event {
	return event{Name: n.Name, ServerUUID: n.ServerID.String(), Status: "completed", Tag: n.PortID.String()}
}

// tell has Nova told, and says of each event what has become of it. Where one of them spoils the request for all, they go by halves, until
// it is alone. An error says that Nova has not answered, or not as Nova does; then those that were not told have no outcome.
func (n *Notifier) tell(ctx context.Context, all []*news) error {
	status, answer, err := n.post(ctx, all)
	if err != nil {
		return err
	}
	switch status {
	case http.StatusOK, http.StatusMultiStatus:
		codes, err := parseAnswer(answer)
		if err != nil {
			return err
		}
		for _, e := range all {
			code, said := codes[e.event().key()]
			if !said {
				code = status
			}
			n.judge(e, code)
		}
		return nil
	case http.StatusNotFound:
		if !isNovas(answer, "itemNotFound") {
			break // the URL is wrong
		}
		for _, e := range all { // so older Novas say that they know no server of any of them
			n.judge(e, status)
		}
		return nil
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusInternalServerError:
		if n.spoilt++; n.spoilt > maySpoil {
			break // it is not one of them, it is Nova
		}
		if len(all) == 1 {
			n.judge(all[0], status)
			return nil
		}
		if err := n.tell(ctx, all[:len(all)/2]); err != nil {
			return err
		}
		return n.tell(ctx, all[len(all)/2:])
	}
	n.url = ""
	return fmt.Errorf("nova: it answers %d: %.200q", status, answer)
}

// maySpoil bounds the requests of one round that Nova refuses as a whole: two events among a hundred are found with fewer.
const maySpoil = 16

// judge decides what an event's code means.
func (n *Notifier) judge(e *news, code int) {
	log := n.c.Log.With("event", e.Name, "server", e.ServerID, "port", e.PortID, "code", code)
	switch code {
	case http.StatusOK:
		e.outcome = accepted
		log.Debug("Nova is told")
	case http.StatusNotFound: // the server is gone, or never was Nova's
		e.outcome = dropped
		log.Info("Nova knows no such server, the event is dropped")
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		e.outcome = dropped
		log.Warn("Nova does not understand an event, it is dropped")
	default: // 422: the server is on no host yet
		e.outcome = tryLater
		log.Warn("Nova refuses an event for now", "tries", e.Tries+1)
	}
}

// post is one request, twice where a token has to be renewed.
func (n *Notifier) post(ctx context.Context, all []*news) (status int, answer []byte, err error) {
	events := make([]event, len(all))
	for i, e := range all {
		events[i] = e.event()
	}
	body, err := json.Marshal(map[string]any{"events": events})
	if err != nil {
		return 0, nil, err
	}
	if n.url == "" {
		url, err := n.c.URL(ctx)
		if err != nil {
			return 0, nil, err
		}
		n.url = strings.TrimRight(url, "/")
	}
	for not := ""; ; not = n.token {
		if n.c.Token != nil {
			if n.token, err = n.c.Token(ctx, not); err != nil {
				return 0, nil, err
			}
		}
		status, answer, err = n.ask(ctx, body)
		if err != nil {
			n.url = ""
			return 0, nil, err
		}
		if status != http.StatusUnauthorized || not != "" || n.token == "" {
			return status, answer, nil
		}
	}
}

// answerLimit is how many bytes of an answer are read.
const answerLimit = 1 << 20

func (n *Notifier) ask(ctx context.Context, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url+"/os-server-external-events", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "signalbox")
	if n.token != "" {
		r.Header.Set("X-Auth-Token", n.token)
	}
	res, err := n.client.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("nova: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("nova: %w", err)
	case len(answer) > answerLimit:
		return 0, nil, fmt.Errorf("nova: it answers more than %d bytes", answerLimit)
	}
	return res.StatusCode, answer, nil
}

// parseAnswer is the code of each event that Nova tells of. One that has none is as if it were not told of.
func parseAnswer(body []byte) (map[string]int, error) {
	var answer struct {
		Events *[]event `json:"events"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("nova: its answer cannot be read: %w", err)
	}
	if answer.Events == nil {
		return nil, errors.New("nova: its answer tells of no events")
	}
	codes := make(map[string]int, len(*answer.Events))
	for _, e := range *answer.Events {
		if e.Code != 0 {
			codes[e.key()] = e.Code
		}
	}
	return codes, nil
}

// isNovas reports whether an error is of that name, as Nova has it: by that a wrong URL is told from Nova's word.
func isNovas(body []byte, name string) bool {
	var answer map[string]json.RawMessage
	return json.Unmarshal(body, &answer) == nil && answer[name] != nil
}
