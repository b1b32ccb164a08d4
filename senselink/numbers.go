package senselink

// Numbers are what tells the events of a vendor's server apart. What the data
// does not hold is zero.
type Numbers struct {
	ID      int64
	Status  int64 // of an alarm: 1 active, 2 being released, 3 released
	Company int64 // whose event it is, on servers with several companies
}

// NumbersOf reads them out of a data object, by the rules of [TraitsOf]. It is
// for data as the server sent it: a [Decoder] adds an "id" where there is none,
// and that one says nothing about what the server has.
func NumbersOf(data []byte) Numbers {
	var n Numbers
	members(data, func(name, value []byte) {
		switch string(name) {
		case "id":
			n.ID = longNumber(value)
		case "status":
			n.Status = longNumber(value)
		case "companyId":
			n.Company = longNumber(value)
		}
	})
	return n
}
