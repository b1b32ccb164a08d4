package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatecast/gatecast"
)

const sourcesPath = "/api/v1/sources/"

type sourceInput struct {
	Name string `path:"name"`
}

type sourceOutput struct {
	Body sourceBody
}

type createSourceInput struct {
	Body struct {
		Name string `json:"name" doc:"1 to 32 of a-z, 0-9 and '-', a letter first; part of its events' IDs, so it never changes"`
		SourceSettingsBody
	}
}

type madeSourceOutput struct {
	Location string `header:"Location"`
	Body     sourceBody
}

func (s *server) createSource(ctx context.Context, in *createSourceInput) (*madeSourceOutput, error) {
	spec := gatecast.SourceSpec{Name: in.Body.Name}
	if err := in.Body.apply(&spec.Settings); err != nil {
		return nil, err
	}
	src, err := s.opts.Upstreams.Sources.CreateSource(ctx, spec)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "source created", "source", src.Name, "kind", src.Settings.Kind)
	out := &madeSourceOutput{Location: sourcesPath + src.Name, Body: s.showSource(src)}
	out.Body.Path = ingestPath(src)
	return out, nil
}

type listSourcesOutput struct {
	Body struct {
		Sources []sourceBody `json:"sources" nullable:"false" doc:"By name"`
	}
}

func (s *server) listSources(context.Context, *struct{}) (*listSourcesOutput, error) {
	out := &listSourcesOutput{}
	out.Body.Sources = []sourceBody{}
	for _, src := range s.opts.Upstreams.Sources.Sources() {
		out.Body.Sources = append(out.Body.Sources, s.showSource(src))
	}
	return out, nil
}

func (s *server) getSource(_ context.Context, in *sourceInput) (*sourceOutput, error) {
	src, err := s.source(in.Name)
	if err != nil {
		return nil, err
	}
	return &sourceOutput{s.showSource(src)}, nil
}

// source finds a source by its name.
func (s *server) source(name string) (*gatecast.Source, error) {
	src, ok := s.opts.Upstreams.Sources.Source(name)
	if !ok {
		err := gatecast.Errorf(gatecast.NotFound, "there is no source with the name %q", shorten(name))
		err.Remedy = "list them with: gatecast source list"
		return nil, err
	}
	return src, nil
}

type patchSourceInput struct {
	Name string `path:"name"`
	Body SourceSettingsBody
}

func (s *server) updateSource(ctx context.Context, in *patchSourceInput) (*sourceOutput, error) {
	src, err := s.opts.Upstreams.Sources.UpdateSource(ctx, in.Name, in.Body.apply)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "source changed", "source", src.Name)
	return &sourceOutput{s.showSource(src)}, nil
}

func (s *server) deleteSource(ctx context.Context, in *sourceInput) (*struct{}, error) {
	if err := s.opts.Upstreams.Sources.DeleteSource(ctx, in.Name); err != nil {
		return nil, err
	}
	s.logChange(ctx, "source deleted", "source", in.Name)
	return nil, nil
}

type pauseSourceInput struct {
	Name string `path:"name"`
	Body *struct {
		Reason string `json:"reason,omitempty" doc:"For people, at most 300 bytes"`
	}
}

func (s *server) pauseSource(ctx context.Context, in *pauseSourceInput) (*sourceOutput, error) {
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	src, err := s.opts.Upstreams.Sources.PauseSource(ctx, in.Name, reason)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "source paused", "source", src.Name, "reason", src.Paused)
	return &sourceOutput{s.showSource(src)}, nil
}

func (s *server) resumeSource(ctx context.Context, in *sourceInput) (*sourceOutput, error) {
	src, err := s.opts.Upstreams.Sources.ResumeSource(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "source resumed", "source", src.Name)
	return &sourceOutput{s.showSource(src)}, nil
}

type lookOutput struct {
	Status int
	Body   struct {
		Asked time.Time `json:"asked" doc:"When this request came; the look has ended when looked is not before"`
		StatementBody
	}
}

// reconcileSource waits for the look only as long as an answer may take. A look
// that takes longer goes on, and is told in the source's state when it has ended.
func (s *server) reconcileSource(ctx context.Context, in *sourceInput) (*lookOutput, error) {
	if _, err := s.source(in.Name); err != nil {
		return nil, err
	}
	out := &lookOutput{Status: http.StatusOK}
	out.Body.Asked = time.Now().UTC()
	waiting, cancel := context.WithTimeout(ctx, s.opts.Upstreams.Wait)
	defer cancel()
	st, err := s.opts.Upstreams.States.Reconcile(waiting, in.Name)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		out.Status, st = http.StatusAccepted, s.opts.Upstreams.States.State(in.Name).Statement
	case err != nil:
		return nil, err
	}
	s.logChange(ctx, "source looked at", "source", in.Name, "ended", out.Status == http.StatusOK)
	out.Body.StatementBody = showStatement(st)
	return out, nil
}

type rotateSourceInput struct {
	Name string `path:"name"`
	Body *struct {
		Overlap string `json:"overlap,omitempty" doc:"How long the old URL is good too; default 24h, 0s ends it at once" example:"24h"`
	}
}

func (s *server) rotateSource(ctx context.Context, in *rotateSourceInput) (*sourceOutput, error) {
	overlap := defaultOverlap
	if in.Body != nil && in.Body.Overlap != "" {
		var err error
		if overlap, err = time.ParseDuration(in.Body.Overlap); err != nil {
			return nil, invalid("/overlap", in.Body.Overlap, `a duration such as "24h"`, "the overlap is not a duration")
		}
	}
	src, err := s.opts.Upstreams.Sources.RotateSource(ctx, in.Name, overlap)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "source token rotated", "source", src.Name, "overlap", overlap)
	shown := s.showSource(src)
	shown.Path = ingestPath(src)
	return &sourceOutput{shown}, nil
}

type sourceTokenOutput struct {
	Body struct {
		Name  string `json:"name"`
		Token string `json:"token" doc:"Whoever has it can send in events"`
		Path  string `json:"path" doc:"Where the server posts to, on this server"`
	}
}

func (s *server) revealSourceToken(ctx context.Context, in *sourceInput) (*sourceTokenOutput, error) {
	src, err := s.source(in.Name)
	if err != nil {
		return nil, err
	}
	if src.Token == "" {
		return nil, &gatecast.Error{
			Code: gatecast.Conflict, Message: "this source has no token: gatecast connects to it", Remedy: "nothing need be set at the server",
		}
	}
	s.logChange(ctx, "source token revealed", "source", src.Name)
	out := &sourceTokenOutput{}
	out.Body.Name, out.Body.Token, out.Body.Path = src.Name, src.Token, ingestPath(src)
	return out, nil
}
