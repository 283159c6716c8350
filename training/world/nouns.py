"""Names of things that stand about in rooms and streets."""

_WORDS = """
armchair air conditioner airlock anvil aquarium arch backpack bakery bandstand banner barbecue barrel barrier basin
basket bathtub bead curtain bed bell bench bicycle billboard bin birdcage blackboard blanket boiler bollard bookcase
bookshop boulder bowl box brazier broom bucket buffet bulletin board bus stop bush cabinet cactus cage cake stand
camera candle canoe canopy car cardboard box cart cash desk cello chair chalkboard chest chimney clock coat rack
coffee machine compost heap compressor concrete mixer cone control panel cooker cooler cot couch counter cradle crane
crate cupboard curtain cutting board dartboard deck chair desk digger dishwasher display door doorbell drain dresser
drinking fountain drum dryer dumpster easel elevator fan fence filing cabinet fire door fire extinguisher fireplace
first aid kit fish tank flag flagpole flipchart floor lamp flower pot folding table footstool forklift fountain
freezer fridge fuel pump furnace fuse box garage garden gnome gate generator glass case globe goal guitar hammock hand
dryer handcart handrail harp hat stand headboard heater hedge hose reel hospital bed hydrant ice machine incubator
information desk ironing board jukebox kayak kettle keyboard kiosk kitchen island ladder lamppost lantern laptop
laundry basket lawnmower lectern letterbox light switch locker loom loudspeaker magazine rack mailbox mannequin map
stand mattress meter microphone microscope microwave milestone mirror mixing desk monitor motorbike music stand
newspaper stand nightstand notice board oak tree office chair ottoman oven pallet palm parasol parcel parking meter
pedestal phone booth piano picnic table pillar ping pong table pinboard pine tree planter plinth podium pond pool
table popcorn machine postbox poster pram pressure gauge printer projector prop pump punching bag radiator railing
recycling bin road sign rocking chair roller door rowing machine rug safe sandbox saw bench scaffold scale scanner
scooter screen sculpture server rack sewing machine shed shelf shoe rack shopping cart showcase shower sideboard sign
silo sink skateboard skeleton ski rack skip slide snack bar snowman soap dispenser sofa solar panel spiral staircase
spotlight stage statue steel drum stepladder stool stove street lamp suitcase sun lounger sundial swing switchboard
table tablet stand tank taxi sign telescope television tent thermostat ticket machine toaster toilet tombstone tool
chest torch totem towel rail tower tractor traffic light trailer trampoline trash can treadmill tripod trolley trophy
trunk turnstile tv stand typewriter umbrella stand urn vacuum cleaner valve van vase vending machine violin wagon
waiting bench wardrobe washbasin washing machine watchtower water butt water cooler weather vane weighing machine
welcome mat well wheelbarrow wheelchair whiteboard wind chime windmill window wine rack woodpile workbench wreath
x-ray machine yucca zebra crossing sign
"""

# With these words begin names of two and of three words.
_OF_TWO = """
air apron atlas bead bulletin bus cake cardboard cash coat coffee compost concrete control cutting deck drinking easy
filing fire fish flower floor folding fuel fuse garden glass hand hat hose hospital ice information ironing kitchen
laundry light magazine map mixing music newspaper notice oak office parking phone picnic pine pool popcorn pressure
punching recycling road rocking roller rowing saw server sewing shoe shopping ski snack soap solar spiral steel street
sun tablet taxi ticket tool towel traffic trash tv umbrella vacuum vending waiting washing water weather weighing
welcome wind wine x-ray
""".split()
_OF_THREE = 'first ping zebra'.split()

# In no scene that is learnt from; for the question of whether other names do as well.
_UNSEEN_WORDS = """
abacus accordion altar antenna apron rail ashtray atlas stand awning axle balloon banjo beehive bellows bobsled bongo
bookend bugle cairn calliope candelabra carousel catapult chandelier clothesline cocoon coop dinghy dinosaur dovecote
easy chair excavator figurine foundry gargoyle gazebo gondola gramophone hourglass igloo jigsaw kennel kiln lathe
lighthouse mailbag marimba merry-go-round obelisk organ pagoda parapet periscope pillory pinwheel pulpit quilt rickshaw
rocket samovar seesaw sled sphinx sprinkler teepee terrarium trapeze trellis trough tuba unicycle vat winch xylophone
yurt zeppelin zither
"""


def _read(text: str) -> tuple[str, ...]:
    words, nouns = text.split(), []
    while words:
        count = 3 if words[0] in _OF_THREE else 2 if words[0] in _OF_TWO else 1
        nouns.append(' '.join(words[:count]))
        words = words[count:]
    return tuple(dict.fromkeys(nouns))


NOUNS, UNSEEN_NOUNS = _read(_WORDS), _read(_UNSEEN_WORDS)
