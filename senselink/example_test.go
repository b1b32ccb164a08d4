package senselink_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatecast/gatecast/senselink"
)

func ExamplePath() {
	timestamp := "1763350834090" // milliseconds
	fmt.Println(senselink.Path(senselink.Credentials{
		AppKey:    "0123456789abcdef",
		Timestamp: timestamp,
		Sign:      senselink.Sign(timestamp, "e30af86f8f4e75d128ba4288597dea3c"),
	}))
	// Output: /websocket/record/0123456789abcdef/1763350834090/4ed75ef570a2f8326587677f16b3aa37
}

func ExampleDecoder() {
	body := `{"eventType":30000,"data":{"id":7,"sn":"SPS-1","signTime":1569790800,"signTimeZone":"+08:00"}}`
	events, err := senselink.NewDecoder(senselink.Options{}).Decode(strings.NewReader(body), senselink.JSON, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(events[0].ID)
	fmt.Println(string(senselink.AppendPush(nil, &events[0])))
	// Output:
	// record:SPS-1:7
	// {"code":30000,"desc":"","message":"push record","data":{"id":7,"sn":"SPS-1","signTime":1569790800,"signTimeZone":"+08:00","signDate":"2019-09-30"}}
}
