package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// Identifier types of a person.
const (
	employee = 1
	visitor  = 2
	stranger = 3
)

// group is a group as it stands in a record.
type group struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Type int    `json:"type"`
}

// Types of a group.
const (
	employeeGroup = 1
	visitorGroup  = 2
	denyGroup     = 5
)

// person is somebody whom the devices may know.
type person struct {
	id      int64 // 0 for a stranger
	name    string
	kind    int
	groups  []group
	avatar  string // image ID of the registered face
	mobile  string
	card    string // IC card number; empty for most visitors
	job     string // employee number
	remark  string
	host    *person // whom a visitor comes to see
	denied  bool    // on the deny list
	drives  bool
	admin   bool // has business in the server room
	office  int  // index of the usual office door
	careful bool // wears a mask
}

const (
	employees = 112
	visitors  = 18
	deniedOff = 2
)

func newPeople(rng *rand.Rand, start time.Time) []person {
	people := make([]person, 0, employees+visitors+deniedOff)
	img := newImages(rng)
	registered := start.AddDate(-1, 0, 0)
	used := map[string]bool{}
	for i := range employees {
		people = append(people, newEmployee(rng, fullName(rng, used), img.next(registered), i))
	}
	for i := range visitors + deniedOff {
		p := person{
			id: int64(5000 + 7*i), name: fullName(rng, used), kind: visitor, avatar: img.next(registered),
			mobile: mobile(rng), groups: []group{{ID: 20, Name: "来訪者", Type: visitorGroup}},
			careful: rng.IntN(2) == 0,
		}
		if i < visitors {
			p.host = &people[rng.IntN(employees)]
			p.remark = purposes()[rng.IntN(len(purposes()))]
		} else {
			p.denied = true
			p.groups = []group{{ID: 90, Name: "入館禁止リスト", Type: denyGroup}}
		}
		people = append(people, p)
	}
	return people
}

func newEmployee(rng *rand.Rand, name, avatar string, i int) person {
	office := rng.IntN(3)
	p := person{
		id: int64(15 + 3*i), name: name, kind: employee, office: office, avatar: avatar,
		groups:  []group{{ID: 1, Name: "Default group", Type: employeeGroup}, departments()[office]},
		job:     strconv.Itoa(10023 + 17*i),
		card:    fmt.Sprintf("%010d", rng.Int64N(9_000_000_000)+1_000_000_000),
		drives:  rng.IntN(6) == 0,
		admin:   office == 1 && rng.IntN(4) == 0,
		careful: rng.IntN(5) > 0,
	}
	if rng.IntN(3) == 0 {
		p.mobile = mobile(rng)
	}
	return p
}

// mobile makes a number from 090-0000-0000 on, which is given to nobody.
func mobile(rng *rand.Rand) string { return fmt.Sprintf("0900000%04d", rng.IntN(10000)) }

func departments() []group {
	return []group{
		{ID: 11, Name: "総務部", Type: employeeGroup},
		{ID: 12, Name: "開発部", Type: employeeGroup},
		{ID: 13, Name: "営業部", Type: employeeGroup},
	}
}

func purposes() []string {
	return []string{"打ち合わせ", "面接", "設備点検", "納品", "Meeting", "研修"}
}

// fullName invents a name that nobody of used has: mostly Japanese, some
// Chinese and English.
func fullName(rng *rand.Rand, used map[string]bool) string {
	for {
		name := inventName(rng)
		if !used[name] {
			used[name] = true
			return name
		}
	}
}

func inventName(rng *rand.Rand) string {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	switch n := rng.IntN(10); {
	case n < 6:
		return pick("山田", "佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "中村", "小林", "加藤", "吉田", "松本",
			"井上", "木村", "清水", "斎藤", "森", "池田", "橋本", "石川", "前田", "岡田", "長谷川", "村上") + " " +
			pick("太郎", "花子", "健一", "美咲", "翔太", "陽子", "大輔", "恵", "拓也", "由美", "直樹", "彩", "さくら",
				"蓮", "結衣", "悠真", "真由美", "誠")
	case n < 8:
		return pick("王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙") +
			pick("伟", "芳", "娜", "敏", "静", "强", "磊", "洋", "艳", "勇", "杰", "晓明", "丽华", "建国", "子涵", "雨桐")
	}
	return pick("Alice", "Brian", "Chloe", "Daniel", "Emma", "Frank", "Grace", "Henry", "Isla", "Jack", "Laura", "Oliver") + " " +
		pick("Smith", "Jones", "Taylor", "Brown", "Wilson", "Evans", "Walker", "O'Neill", "Clark", "Young", "Hall", "Baker")
}
