package api

import (
	"context"
	"time"

	"github.com/gatecast/gatecast/internal/auth"
)

// tokenBody is a token as the API shows it.
type tokenBody struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Scopes  []auth.Scope `json:"scopes" nullable:"false" doc:"admin, ingest, read"`
	Created time.Time    `json:"created"`
	Token   string       `json:"token,omitempty" doc:"The token itself; only after create, and never again"`
}

func showToken(t auth.Token) tokenBody {
	return tokenBody{ID: t.ID, Name: t.Name, Scopes: t.Scopes, Created: t.Created}
}

type createTokenInput struct {
	Body struct {
		Name   string       `json:"name" doc:"For people, 1 to 100 characters, unique"`
		Scopes []auth.Scope `json:"scopes" nullable:"false" doc:"Some of admin, ingest, read"`
	}
}

type createTokenOutput struct {
	Body tokenBody
}

func (s *server) createToken(ctx context.Context, in *createTokenInput) (*createTokenOutput, error) {
	t, plain, err := s.opts.Tokens.CreateToken(ctx, in.Body.Name, in.Body.Scopes)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "token created", "id", t.ID, "name", t.Name, "scopes", auth.JoinScopes(t.Scopes))
	out := &createTokenOutput{showToken(t)}
	out.Body.Token = plain
	return out, nil
}

type listTokensOutput struct {
	Body struct {
		Tokens []tokenBody `json:"tokens" nullable:"false"`
	}
}

func (s *server) listTokens(context.Context, *struct{}) (*listTokensOutput, error) {
	out := &listTokensOutput{}
	out.Body.Tokens = []tokenBody{}
	for _, t := range s.opts.Tokens.Tokens() {
		out.Body.Tokens = append(out.Body.Tokens, showToken(t))
	}
	return out, nil
}

type deleteTokenInput struct {
	ID string `path:"id"`
}

func (s *server) deleteToken(ctx context.Context, in *deleteTokenInput) (*struct{}, error) {
	if err := s.opts.Tokens.DeleteToken(ctx, in.ID); err != nil {
		return nil, err
	}
	s.logChange(ctx, "token deleted", "id", in.ID)
	return nil, nil
}
