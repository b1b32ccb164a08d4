package reconcile

import (
	"strings"
	"testing"
)

func TestAnAnswerOfCountlessRowsIsRefused(t *testing.T) {
	body := []byte(`{"code":200,"data":[0` + strings.Repeat(",0", mostRows) + `]}`)
	if a, err := readAnswer(body); err == nil {
		t.Errorf("%d rows were taken", len(a.rows))
	}
	if a, err := readAnswer([]byte(`{"code":200,"data":[{},[1,2],"x"]}`)); err != nil || len(a.rows) != 3 || string(a.rows[1]) != "[1,2]" {
		t.Errorf("%q, %v", a.rows, err)
	}
}
