package controller

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// database keeps statuses, and lets the test say when.
type database struct {
	begin, end chan struct{}
	status     signalbox.Status
}

func (d *database) write(ctx context.Context, all map[uuid.UUID]signalbox.Status) error {
	d.begin <- struct{}{}
	for _, st := range all {
		d.status = st
	}
	d.end <- struct{}{}
	return nil
}

// begin has a port that the database calls Active, and has it written that it is Down.
func begin(t *testing.T) (*statuses, *database, uuid.UUID) {
	d, port := &database{begin: make(chan struct{}), end: make(chan struct{})}, uuid.New()
	s := newStatuses(New(Config{}, nil, slog.New(slog.DiscardHandler)), signalbox.KindPort, d.write)
	s.read(port, signalbox.Active)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	s.set(port, signalbox.Down)
	<-d.begin
	return s, d, port
}

func (d *database) becomesActive(t *testing.T) {
	t.Helper()
	select {
	case <-d.begin:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is written")
	}
	<-d.end
	if d.status != signalbox.Active {
		t.Errorf("the database says %s", d.status)
	}
}

func TestAStatusThatChangesBackWhileItIsWrittenIsWrittenAgain(t *testing.T) {
	s, d, port := begin(t)
	s.set(port, signalbox.Active)
	<-d.end
	d.becomesActive(t)
}

func TestARowFromBeforeAStatusWasWrittenHidesNothing(t *testing.T) {
	s, d, port := begin(t)
	<-d.end
	for s.storedOf(port) != signalbox.Down {
		runtime.Gosched()
	}
	s.read(port, signalbox.Active)
	s.set(port, signalbox.Active)
	d.becomesActive(t)
}

func (s *statuses) storedOf(id uuid.UUID) signalbox.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored[id]
}
