package senselink

import "testing"

func TestTheNumbersOfAnEventAreReadAsItsServerSentThem(t *testing.T) {
	for data, want := range map[string]Numbers{
		`{}`:                                {},
		`{"id":7,"status":2,"companyId":3}`: {7, 2, 3},
		`{ "companyId" : "3" , "name":"a\"b}" , "id" : 7 }`:      {7, 0, 3},
		`{"groups":[{"id":9,"status":8}],"id":9007199254740993}`: {9007199254740993, 0, 0},
		`{"id":9223372036854775807,"status":-1}`:                 {9223372036854775807, -1, 0},
		`{"id":9223372036854775808}`:                             {},
		`{"id":1.5,"status":1e3,"companyId":null}`:               {},
		`{"\u0069d":7}`: {ID: 7},
		`not JSON`:      {},
		``:              {},
		`{"recordId":7,"record":{"id":8},"list":["id",5],"id":"x"`: {},
	} {
		if got := NumbersOf([]byte(data)); got != want {
			t.Errorf("%s: %+v, want %+v", data, got, want)
		}
	}
}
