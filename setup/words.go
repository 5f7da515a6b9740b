package setup

import "strings"

// wordList is 256 short words, one for each value of a byte.
var wordList = strings.Fields(`
able acid acre aged airy also amid apex arch area army atom aunt away axis baby
back bake ball band bank barn base bath bead beam bean bear beat bell belt best
bike bird blue boat body bold bolt bone book boot born both bowl brim bulb bush
busy cake calm camp card care cart case cash cave chef chin city clay clip club
coal coat code coin cold cook cool copy cord corn cost crab crew crop cube cure
curl dark dawn deck deep deer desk dial dice diet disk dock door dove down draw
drum duck dune dusk dust duty each earn east easy echo edge else epic even ever
exit face fact fair fame farm fast fern film find fire firm fish five flag flat
flow foam fold folk food foot fork form four free frog fuel full game gate gift
give glad glow glue goal goat gold golf good gray grid grow gulf hail half hall
hand harp hawk heat help herb high hill hint home hood hook hope horn host hour
huge icon idea inch iron item jade jazz join joke jump june jury just kale keen
keep kelp kick kind king kite knee knot lace lake lamb lamp land lane last late
lava lawn leaf left lens life lift lime line lion list loaf loft logo long loop
loud luck lung mail main many maps mask maze meal menu mild milk mine mint mist
moon moss moth much myth nail name navy near neck nest news next nine noon nose
`)
